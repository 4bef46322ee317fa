"""By what a base's encoders are told apart: their content, never their names."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor, nn

from armature.bases.families import Family

# What of the autoencoder takes part in encoding; another decoder makes no other latents.
_VAE_PARTS = ("encoder.", "quant_conv.")
_VAE_SETTINGS = ("scaling_factor", "shift_factor", "latents_mean", "latents_std", "force_upcast")


def encoder_digest(pipeline: Any, family: Family) -> str:
    """BLAKE2b, 32 hexadecimal digits, over all weights that encode, their precision and the settings around them.

    pipeline: of diffusers, of that family.
    """
    digest = hashlib.blake2b(digest_size=16)
    settings: dict[str, Any] = {name: pipeline.vae.config.get(name) for name in _VAE_SETTINGS}
    settings["zero"] = bool(getattr(pipeline.config, "force_zeros_for_empty_prompt", False))
    _add_weights(digest, pipeline.vae, _VAE_PARTS)
    for suffix in family.text.encoders:
        tokenizer = getattr(pipeline, f"tokenizer{suffix}")
        settings[f"length{suffix}"] = tokenizer.model_max_length
        settings[f"vocabulary{suffix}"] = sorted(tokenizer.get_vocab().items())
        settings[f"pad{suffix}"] = tokenizer.pad_token
        _add_weights(digest, getattr(pipeline, f"text_encoder{suffix}"), ("",))
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()


def _add_weights(digest: hashlib.blake2b, module: nn.Module, starts: tuple[str, ...]) -> None:
    for name, tensor in sorted(module.state_dict().items()):
        if name.startswith(starts):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(bytes_of(tensor))


def bytes_of(tensor: Tensor) -> memoryview:
    """A tensor's bytes in row order; no copy is made of one that lies contiguous on the CPU."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
