"""Inpainting for bases whose latents diffusers' own inpainting pipelines do not take (others than 4 channels)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from armature.bases.latents import encode
from armature.bases.open import Base
from armature.generation.pictures import FittedStart

_PUBLISHED = 4


def blends_itself(base: Base) -> bool:
    """Whether inpainting with this base is done here, on the image-to-image pipeline, step by step."""
    return base.latent_channels != _PUBLISHED and not base.inpaints


@dataclass(frozen=True, eq=False)
class LatentKeeper:
    """Puts the start's own latents, as noisy as the step is, back outside the mask after every step.

    latents: (1, c, h, w) of the start. mask: (1, 1, h, w), 1 where to paint anew. noise: as latents.
    Source: what diffusers' StableDiffusionInpaintPipeline does for a U-Net of 4 channels.
    """

    latents: Tensor
    mask: Tensor
    noise: Tensor

    @classmethod
    def of(cls, base: Base, start: FittedStart, seed: int) -> LatentKeeper:
        """For a start with a mask; the noise depends on the seed alone."""
        assert start.mask is not None
        latents, _ = encode(base.autoencoder(without="decoder"), np.array(start.picture)[None])
        mask = torch.from_numpy(np.array(start.mask) >= 128).float()[None, None]
        noise = torch.randn(latents.shape, generator=torch.Generator("cpu").manual_seed(seed))
        return cls(latents, F.interpolate(mask, size=latents.shape[-2:]).to(latents.device), noise.to(latents.device))

    def after_step(self, pipeline: Any, step: int, latents: Tensor) -> Tensor:
        """The latents after a step, with everything outside the mask as it is to be at the next step."""
        kept = self.latents.to(latents)
        left = pipeline.scheduler.timesteps[-pipeline.num_timesteps :][step + 1 :]
        if len(left):
            kept = pipeline.scheduler.add_noise(kept, self.noise.to(latents), left[:1])
        mask = self.mask.to(latents)
        return (1 - mask) * kept + mask * latents
