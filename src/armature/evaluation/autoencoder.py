"""Decoding latents into pictures, and pictures through the autoencoder: as good as any picture of a base can be."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def wide_autoencoder(vae: Any, *, encoder: bool = True) -> Any:
    """The autoencoder, or a float32 copy of it where half precision would overflow in it, as SDXL's does.

    A copy, because others may be using the original meanwhile. encoder: whether the copy has that half as well.
    """
    if vae.dtype != torch.float16 or not getattr(vae.config, "force_upcast", False):
        return vae
    return copy.deepcopy(vae, None if encoder else {id(vae.encoder): nn.Identity()}).float()


@torch.no_grad()
def decode(vae: Any, latents: Tensor) -> list[np.ndarray]:
    """Pictures of latents as the U-Net works on them, (n, c, h, w): n arrays (h, w, 3) uint8.

    One after the other, so that memory does not grow with n.
    """
    z = latents.float() / vae.config.scaling_factor
    mean, std = getattr(vae.config, "latents_mean", None), getattr(vae.config, "latents_std", None)
    if mean is not None and std is not None:
        z = z * torch.tensor(std).view(1, -1, 1, 1).to(z) + torch.tensor(mean).view(1, -1, 1, 1).to(z)
    return [_pixels(vae.decode(row[None].to(vae.device, vae.dtype), return_dict=False)[0][0]) for row in z]


@torch.no_grad()
def through_autoencoder(vae: Any, picture: np.ndarray) -> np.ndarray:
    """A picture encoded and decoded, both (h, w, 3) uint8; its sides are multiples of the autoencoder's stride."""
    x = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1
    z = vae.encode(x.to(vae.device, vae.dtype)).latent_dist.mean
    return _pixels(vae.decode(z, return_dict=False)[0][0])


def _pixels(values: Tensor) -> np.ndarray:
    """(3, h, w) in -1..1 as (h, w, 3) uint8."""
    return (values.float().clamp(-1, 1) + 1).mul(127.5).round().byte().permute(1, 2, 0).cpu().numpy()
