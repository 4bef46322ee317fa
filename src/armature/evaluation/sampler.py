"""Pictures from text states and features, sampled as a user would sample them: the base's scheduler, one seed each."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armature.adapters.features import Features
from armature.bases.latents import decode
from armature.bases.open import Base
from armature.bases.pipelines import pipeline_class
from armature.bases.text import TextStates
from armature.errors import RecipeError
from armature.injection.hooks import injected


class PictureSampler:
    """Draws with a base; needs no text encoder, and the autoencoder at the end only.

    base: stays as it is; its scheduler is copied, its autoencoder is used where it lies, and its U-Net carries hooks
    while a picture is drawn. Other injections on it, a training's own for instance, must add nothing meanwhile.
    steps: of the sampler. guidance: of classifier-free guidance; None is the base's own.
    Raises RecipeError for an inpainting base, which draws nothing without a picture.
    """

    def __init__(self, base: Base, *, steps: int = 20, guidance: float | None = None) -> None:
        if base.inpaints:
            raise RecipeError(
                f"The base {base.name!r} is an inpainting model and cannot draw from text; take a plain one."
            )
        self.base = base
        self.steps = steps
        self.guidance = base.guidance if guidance is None else guidance
        self._pipeline = _bare_pipeline(base)

    def sample(
        self,
        text: TextStates,
        empty: TextStates,
        features: Features | None,
        size: tuple[int, int],
        seeds: Sequence[int],
    ) -> list[np.ndarray]:
        """One picture for each row of the text states.

        text: n captions' states; empty: what stands for no caption, n = 1. features: of n controls, in any precision,
        or None for the base alone. size: (width, height) in pixels. seeds: n numbers.
        Returns n arrays (h, w, 3) uint8. Random states other than those of the seeds are not touched.
        """
        guided = self._pipeline.unet.config.time_cond_proj_dim is None and self.guidance > 1
        with injected(self.base.pipeline.unet, features, (False, True) if guided else (True,)):
            latents = self._pipeline(
                **self._embeddings(text, empty, guided),
                num_inference_steps=self.steps,
                guidance_scale=self.guidance,
                width=size[0],
                height=size[1],
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
                output_type="latent",
            ).images
        return self.decode(latents)

    def decode(self, latents: Tensor) -> list[np.ndarray]:
        """Pictures of latents as the U-Net works on them, (n, c, h, w): n arrays (h, w, 3) uint8."""
        # Made anew each time where a copy is needed: between two previews its memory belongs to the training.
        return decode(self.base.autoencoder(without="encoder"), latents)

    def _embeddings(self, text: TextStates, empty: TextStates, guided: bool) -> dict[str, Any]:
        place = self.base.pipeline.unet
        states = text.states.to(place.device, place.dtype)
        named = {"prompt_embeds": states}
        pooled = None if text.pooled is None else text.pooled.to(place.device, place.dtype)
        if pooled is not None:
            named["pooled_prompt_embeds"] = pooled
        if not guided:
            return named
        named["negative_prompt_embeds"] = empty.states.to(states).expand_as(states)
        if pooled is not None and empty.pooled is not None:
            named["negative_pooled_prompt_embeds"] = empty.pooled.to(pooled).expand_as(pooled)
        return named


def _bare_pipeline(base: Base) -> Any:
    """The base's pipeline without text encoders and autoencoder: it runs where its U-Net is, wherever they are."""
    kind = pipeline_class(base.family, "text")
    options = inspect.signature(kind.__init__).parameters
    parts: dict[str, Any] = {
        name: None for name, one in options.items() if name != "self" and one.default is inspect.Parameter.empty
    }
    # Without these it speaks of a library for watermarks, and of the absent safety checker.
    parts |= {name: False for name in ("add_watermarker", "requires_safety_checker") if name in options}
    scheduler = base.pipeline.scheduler
    pipeline = kind(**parts | {"unet": base.pipeline.unet, "scheduler": type(scheduler).from_config(scheduler.config)})
    pipeline.vae_scale_factor = base.stride
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
