"""Pictures and captions -> what the frozen base makes of them before its U-Net."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from armature.bases.open import Base
from armature.data.encoding.identity import encoder_digest
from armature.data.encoding.text import Note, TextEncoders, TextStates

# Pictures that pass through the autoencoder together: as many as hold this many pixels, four of 1024 x 1024.
_PIXELS_AT_ONCE = 4 * 1024 * 1024


class Encoder:
    """The autoencoder and the text encoders of an open base; works on the device where the base lies.

    base: see `open_base`; its parts are used as they are and never changed. note: see TextEncoders.
    """

    def __init__(self, base: Base, note: Note | None = None) -> None:
        self.family, self.name = base.family, base.name
        self.device = base.place.device
        self.stride = base.stride
        self._pipeline = base.pipeline
        self._vae: Any = base.pipeline.vae.eval()
        self._texts = TextEncoders(base.pipeline, base.family, note)
        self._full: Any = None
        self._digest = ""

    @property
    def truncated(self) -> int:
        """How many different captions were too long for the text encoders so far."""
        return self._texts.truncated

    @property
    def text_dtype(self) -> torch.dtype:
        """The precision of the text states."""
        return self._texts.dtype

    def identity(self) -> str:
        """A digest of everything that decides what this encoder answers: weights, precision, scale, vocabulary.

        Reads all weights once (a second or two for SDXL); the base's name and place do not matter.
        """
        self._digest = self._digest or encoder_digest(self._pipeline, self.family)
        return self._digest

    def at_once(self, width: int, height: int) -> int:
        """How many pictures of this size, in pixels, pass through the autoencoder together."""
        return max(1, _PIXELS_AT_ONCE // (width * height))

    @torch.no_grad()
    def pictures(self, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the autoencoder's posterior, each (n, c, h, w), scaled for the U-Net.

        pixels: (n, 8h, 8w, 3) uint8. float32 on the encoder's device.
        """
        at_once = self.at_once(pixels.shape[2], pixels.shape[1])
        parts = [self._moments(pixels[i : i + at_once]) for i in range(0, len(pixels), at_once)]
        mean, std = (torch.cat(part) for part in zip(*parts, strict=True))
        shift, factor = self._scale()
        return (mean - shift) * factor, std * factor

    def texts(self, captions: Sequence[str]) -> TextStates:
        """The text states of n captions; see TextEncoders.texts."""
        return self._texts.texts(captions)

    def empty(self) -> TextStates:
        """The states that stand for no caption; see TextEncoders.empty."""
        return self._texts.empty()

    def release(self) -> None:
        """Move autoencoder and text encoders to the CPU, so that training has the device's memory to itself.

        The base's pipeline then has parts on two devices; `restore` brings them back, for previews.
        """
        self._full = None
        for module in self._modules():
            module.to("cpu")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def restore(self) -> None:
        """Undo `release`."""
        for module in self._modules():
            module.to(self.device)

    def _modules(self) -> list[nn.Module]:
        return [self._vae, *(encoder for _, encoder in self._texts.pairs)]

    def _moments(self, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
        vae = self._autoencoder()
        x = torch.from_numpy(np.ascontiguousarray(pixels)).to(vae.device)
        x = (x.permute(0, 3, 1, 2).float() / 127.5 - 1).to(vae.dtype)
        posterior = vae.encode(x).latent_dist
        return posterior.mean.float(), posterior.std.float()

    def _autoencoder(self) -> Any:
        """The autoencoder, or a float32 copy of its encoding half where float16 would overflow in it.

        A copy, because the pipeline may be decoding previews with the original at the same time.
        """
        if self._vae.dtype != torch.float16 or not self._vae.config.get("force_upcast", True):
            return self._vae
        if self._full is None:
            without_decoder = {id(self._vae.decoder): nn.Identity()}
            self._full = copy.deepcopy(self._vae, without_decoder).float()
        return self._full

    def _scale(self) -> tuple[Tensor, Tensor]:
        """(shift, factor): latents of the U-Net are (latents of the autoencoder - shift) * factor."""
        config = self._vae.config
        factor = torch.tensor(float(config.scaling_factor), device=self.device)
        shift = torch.tensor(float(config.get("shift_factor") or 0.0), device=self.device)
        means, deviations = config.get("latents_mean"), config.get("latents_std")
        if means is not None and deviations is not None:
            shift = torch.tensor(means, device=self.device).view(1, -1, 1, 1)
            factor = factor / torch.tensor(deviations, device=self.device).view(1, -1, 1, 1)
        return shift, factor
