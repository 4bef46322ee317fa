"""Pictures and captions -> what the frozen base makes of them before its U-Net."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from armature.bases.families import Family
from armature.bases.latents import encode
from armature.bases.open import Base
from armature.bases.text import Note, TextEncoders, TextStates
from armature.files import Digest

# Pictures that pass through the autoencoder together: as many as hold this many pixels, four of 1024 x 1024.
_PIXELS_AT_ONCE = 4 * 1024 * 1024
# What of the autoencoder takes part in encoding; another decoder makes no other latents.
_VAE_PARTS = ("encoder.", "quant_conv.")
_VAE_SETTINGS = ("scaling_factor", "shift_factor", "latents_mean", "latents_std", "force_upcast")


class Encoder:
    """The autoencoder and the text encoders of an open base; works on the device where the base lies.

    base: see `open_base`; its parts are used as they are and never changed. note: see TextEncoders.
    """

    def __init__(self, base: Base, note: Note | None = None) -> None:
        self.family, self.name = base.family, base.name
        self._base = base
        self.device = base.place.device
        self.stride = base.stride
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
        self._digest = self._digest or encoder_digest(self._base.pipeline, self.family)
        return self._digest

    def at_once(self, width: int, height: int) -> int:
        """How many pictures of this size, in pixels, pass through the autoencoder together."""
        return max(1, _PIXELS_AT_ONCE // (width * height))

    def pictures(self, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the autoencoder's posterior, each (n, c, h, w), scaled for the U-Net.

        pixels: (n, 8h, 8w, 3) uint8. float32 on the encoder's device.
        """
        at_once = self.at_once(pixels.shape[2], pixels.shape[1])
        vae = self._autoencoder()
        parts = [encode(vae, pixels[i : i + at_once]) for i in range(0, len(pixels), at_once)]
        mean, std = (torch.cat(part) for part in zip(*parts, strict=True))
        return mean, std

    def texts(self, captions: Sequence[str]) -> TextStates:
        """The text states of n captions; see TextEncoders.texts."""
        return self._texts.texts(captions)

    def empty(self) -> TextStates:
        """The states that stand for no caption; see TextEncoders.empty."""
        return self._texts.empty()

    def release(self) -> None:
        """Move autoencoder and text encoders to the CPU, so that training has the device's memory to itself.

        The base's pipeline then has parts on two devices.
        """
        self._full = None
        for module in self._modules():
            module.to("cpu")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _modules(self) -> list[nn.Module]:
        return [self._vae, *(encoder for _, encoder in self._texts.pairs)]

    def _autoencoder(self) -> Any:
        """The encoding half in a precision that it does not overflow in; a copy is kept until `release`."""
        if self._full is None:
            self._full = self._base.autoencoder(without="decoder")
        return self._full


def encoder_digest(pipeline: Any, family: Family) -> str:
    """32 hexadecimal digits of what tells encoders apart: all weights that encode, their precision and the settings.

    pipeline: of diffusers, of that family.
    """
    digest = Digest()
    settings: dict[str, Any] = {name: pipeline.vae.config.get(name) for name in _VAE_SETTINGS}
    settings["zero"] = bool(getattr(pipeline.config, "force_zeros_for_empty_prompt", False))
    _add_weights(digest, pipeline.vae, _VAE_PARTS)
    for suffix in family.text.encoders:
        tokenizer = getattr(pipeline, f"tokenizer{suffix}")
        settings[f"length{suffix}"] = tokenizer.model_max_length
        settings[f"vocabulary{suffix}"] = sorted(tokenizer.get_vocab().items())
        settings[f"pad{suffix}"] = tokenizer.pad_token
        _add_weights(digest, getattr(pipeline, f"text_encoder{suffix}"), ("",))
    digest.add(json.dumps(settings, sort_keys=True))
    return digest.hex


def _add_weights(digest: Digest, module: nn.Module, starts: tuple[str, ...]) -> None:
    for name, tensor in sorted(module.state_dict().items()):
        if name.startswith(starts):
            digest.add(f"{name} {tensor.dtype} {tuple(tensor.shape)}", bytes_of(tensor))


def bytes_of(tensor: Tensor) -> memoryview:
    """A tensor's bytes in row order; no copy is made of one that lies contiguous on the CPU."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
