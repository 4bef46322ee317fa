"""How the batch of one U-Net call is made up, and how what controls give is broadcast along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from armature.errors import AttachError

CONTROLS, FRAMES = 1, 3


@dataclass(frozen=True)
class BatchLayout:
    """The rows of one U-Net call, in order: guidance copies, then images (or videos), then frames.

    conditional: for every guidance copy, whether it sees the prompt; None when no pipeline tells.
    images: images (videos) of one copy: prompts times images per prompt, A A B B.
    frames: frames of each video, 1 for images.
    """

    conditional: tuple[bool, ...] | None
    images: int
    frames: int = 1

    @property
    def copies(self) -> int:
        """How often the images are repeated for guidance."""
        return 1 if self.conditional is None else len(self.conditional)

    def __str__(self) -> str:
        things = f"{self.images} videos of {self.frames} frames" if self.frames > 1 else f"{self.images} images"
        return things if self.copies == 1 else f"{things}, {self.copies} guidance copies"


def read_layout(pipeline: Any, sample: torch.Tensor, windows: int = 1, *, guided: bool | None = None) -> BatchLayout:
    """Read the make-up of a U-Net call.

    pipeline: the pipeline that makes the call, or None for a bare U-Net. windows: of a tiled pipeline's call, each of
    which has rows of its own; the layout is that of one. guided: whether guidance is at work; left out, the pipeline
        is asked.
    sample: the U-Net's input, (batch, channels, height, width) or (batch, channels, frames, height, width).
    """
    rows = sample.shape[0] // windows
    frames = sample.shape[2] if sample.ndim == 5 else 1
    conditional = guidance_copies(pipeline, guided)
    if conditional is None or rows % len(conditional):
        return BatchLayout(None, rows, frames)
    return BatchLayout(conditional, rows // len(conditional), frames)


def guidance_copies(pipeline: Any, guided: bool | None = None) -> tuple[bool, ...] | None:
    """For every copy of the latents in the running call, whether it sees the prompt; None when nobody can tell.

    Source: diffusers' pipelines put the unconditional copy first and perturbed-attention guidance's third last;
    InstructPix2Pix puts the full conditioning first, then the picture alone, then nothing.
    """
    try:
        guided = pipeline.do_classifier_free_guidance if guided is None else guided
    except AttributeError:
        # No such pipeline, or its first call is still to come.
        return None
    if guided and hasattr(pipeline, "image_guidance_scale"):
        return (True, False, False)
    perturbed = bool(getattr(pipeline, "do_perturbed_attention_guidance", False))
    return ((False,) if guided else ()) + (True,) + ((True,) if perturbed else ())


def broadcast(value: torch.Tensor, batch: BatchLayout, name: str) -> torch.Tensor:
    """Lay the maps or tokens of one control along the batch, without copying any.

    value: (count, ...), one entry per control picture.
    Returns (1, controls, 1, frames, ...), broadcastable to the batch split as `split` says.
    One picture acts everywhere. Several are spread over the images as prompts are, each for as many images in a row
    as the count divides into; for video they may be one per frame, or one per frame of each video.
    Raises AttachError for any other count.
    """
    count, rest = value.shape[0], value.shape[1:]
    spread = batch.conditional is not None
    if batch.frames > 1 and count % batch.frames == 0 and _divides(count // batch.frames, batch.images, spread):
        return value.reshape(1, count // batch.frames, 1, batch.frames, *rest)
    if _divides(count, batch.images, spread):
        return value.reshape(1, count, 1, 1, *rest)
    how = (
        "give one, or as many as there are prompts"
        if spread
        else "give one, or one per row of the batch (a bare U-Net does not tell how its rows belong together)"
    )
    raise AttachError(f"The {name} control has {count} pictures and the call runs {batch}; {how}.")


def _divides(count: int, images: int, spread: bool) -> bool:
    """Whether so many controls can be laid along so many images."""
    return count in (1, images) or (spread and images % count == 0)


def common(values: list[torch.Tensor], batch: BatchLayout) -> list[torch.Tensor]:
    """Make broadcast values of several controls broadcastable against each other."""
    counts = {value.shape[CONTROLS] for value in values} - {1}
    if len(counts) <= 1:
        return values
    # Two controls and four controls for eight images: the coarser ones are repeated, which is the rare case.
    return [
        value
        if value.shape[CONTROLS] == 1
        else value.repeat_interleave(batch.images // value.shape[CONTROLS], dim=CONTROLS)
        for value in values
    ]


def split(value: torch.Tensor, batch: BatchLayout) -> tuple[int, ...] | None:
    """How to divide the U-Net's rows so that a broadcast value fits; None when it needs no dividing."""
    controls = value.shape[CONTROLS]
    if value.shape[:4] == (1, 1, 1, 1):
        return None
    return (batch.copies, controls, batch.images // controls, batch.frames)
