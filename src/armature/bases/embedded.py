"""The shipped base model as a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.devices import precision_argument
from armature.embedded.paths import embedded_base_path
from armature.quiet import quiet_loading

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionPipeline


@quiet_loading()
def embedded_pipeline(dtype: torch.dtype | None = None) -> StableDiffusionPipeline:
    """The embedded base as a pipeline on the CPU, 128 x 128 pixels, without a safety checker.

    dtype: precision of its weights, float32 unless given; the files are half precision.
    Raises CheckpointError when the weights are missing.
    """
    import torch
    from diffusers import StableDiffusionPipeline

    precision = precision_argument(dtype or torch.float32)
    return StableDiffusionPipeline.from_pretrained(embedded_base_path(), local_files_only=True, **precision)
