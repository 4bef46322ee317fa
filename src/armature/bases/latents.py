"""Pictures <-> latents as the U-Net works on them, through the autoencoder of a base.

Every autoencoder with `encode`, `decode` and a configuration of diffusers' names will do: one that answers with a
posterior (AutoencoderKL) or with the latents themselves (AutoencoderTiny).
"""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

Half = Literal["encoder", "decoder"]


def latent_stride(vae: Any) -> int:
    """Pixels that one cell of an autoencoder's latent covers, per side."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def wide_autoencoder(vae: Any, *, without: Half | None = None, force_upcast: bool = True) -> Any:
    """The autoencoder, or a float32 copy of it where float16 would overflow in it, as SDXL's does.

    A copy, because others may be using the original meanwhile. without: the half that the copy does not need.
    force_upcast: whether it overflows, where its configuration does not say.
    """
    if vae.dtype != torch.float16 or not vae.config.get("force_upcast", force_upcast):
        return vae
    left_out: Any = None if without is None else {id(getattr(vae, without)): nn.Identity()}
    return copy.deepcopy(vae, left_out).float()


@torch.no_grad()
def encode(vae: Any, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latents of n pictures, each (n, c, h, w) float32 on the autoencoder's device.

    pixels: (n, height, width, 3) uint8, sides multiples of the stride. Scaled as the U-Net works on them. The deviation
    is 0 for an autoencoder without a posterior: there is nothing to sample.
    """
    mean, std = _posterior(vae, pixels)
    shift, factor = _scale(vae, mean.device)
    return (mean - shift) * factor, std * factor


@torch.no_grad()
def decode(vae: Any, latents: Tensor) -> list[np.ndarray]:
    """Pictures of latents as the U-Net works on them, (n, c, h, w): n arrays (h, w, 3) uint8.

    One after the other, so that memory does not grow with n.
    """
    shift, factor = _scale(vae, latents.device)
    z = latents.float() / factor + shift
    return [_pixels(vae.decode(row[None].to(vae.device, vae.dtype), return_dict=False)[0][0]) for row in z]


@torch.no_grad()
def through_autoencoder(vae: Any, picture: np.ndarray) -> np.ndarray:
    """A picture encoded and decoded, both (h, w, 3) uint8; its sides are multiples of the autoencoder's stride."""
    mean, _ = _posterior(vae, picture[None])
    return _pixels(vae.decode(mean.to(vae.dtype), return_dict=False)[0][0])


def for_pipelines(vae: Any) -> Any:
    """The autoencoder as diffusers' pipelines of Stable Diffusion use one: they know a scaling factor and no shift.

    An autoencoder without shift, mean and deviation is itself; another one is wrapped, so that its latents are the same
    here and there.
    """
    config = vae.config
    plain = not (config.get("shift_factor") or config.get("latents_mean") or config.get("latents_std"))
    return vae if plain else _FoldedAutoencoder(vae)


class _FoldedAutoencoder(nn.Module):
    """An autoencoder with its shift and scale folded in: its latents are those of the U-Net, its factor is 1."""

    def __init__(self, vae: Any) -> None:
        from diffusers.configuration_utils import FrozenDict

        super().__init__()
        self.inner = vae
        fixed = {"scaling_factor": 1.0, "shift_factor": None, "latents_mean": None, "latents_std": None}
        self.config = FrozenDict({**vae.config, **fixed})

    @property
    def dtype(self) -> torch.dtype:
        """The inner one's."""
        return self.inner.dtype

    @property
    def device(self) -> torch.device:
        """The inner one's."""
        return self.inner.device

    def encode(self, x: Tensor) -> Any:
        """The inner one's answer, moved and scaled."""
        answer = self.inner.encode(x)
        shift, factor = _scale(self.inner, x.device)
        posterior = getattr(answer, "latent_dist", None)
        if posterior is None:
            return SimpleNamespace(latents=((answer.latents - shift) * factor).to(x.dtype))
        from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

        moments = torch.cat([(posterior.mean - shift) * factor, posterior.logvar + 2 * factor.log()], 1)
        return SimpleNamespace(latent_dist=DiagonalGaussianDistribution(moments.to(x.dtype)))

    def decode(self, z: Tensor, **options: Any) -> Any:
        """The inner one's answer to latents of the U-Net."""
        shift, factor = _scale(self.inner, z.device)
        return self.inner.decode((z / factor + shift).to(z.dtype), **options)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


def _posterior(vae: Any, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and deviation as the autoencoder itself has them, (n, c, h, w) float32."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).to(vae.device)
    x = (x.permute(0, 3, 1, 2).float() / 127.5 - 1).to(vae.dtype)
    answer = vae.encode(x)
    posterior = getattr(answer, "latent_dist", None)
    if posterior is None:
        mean = answer.latents.float()
        return mean, torch.zeros_like(mean)
    return posterior.mean.float(), posterior.std.float()


def _scale(vae: Any, device: torch.device) -> tuple[Tensor, Tensor]:
    """(shift, factor): latents of the U-Net are (latents of the autoencoder - shift) * factor."""
    config = vae.config
    factor = torch.tensor(float(config.scaling_factor), device=device)
    shift = torch.tensor(float(config.get("shift_factor") or 0.0), device=device)
    means, deviations = config.get("latents_mean"), config.get("latents_std")
    if means is not None and deviations is not None:
        shift = torch.tensor(means, device=device).view(1, -1, 1, 1)
        factor = factor / torch.tensor(deviations, device=device).view(1, -1, 1, 1)
    return shift, factor


def _pixels(values: Tensor) -> np.ndarray:
    """(3, h, w) in -1..1 as (h, w, 3) uint8."""
    return (values.float().clamp(-1, 1) + 1).mul(127.5).round().byte().permute(1, 2, 0).cpu().numpy()
