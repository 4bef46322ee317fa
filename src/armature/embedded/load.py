"""The shipped model: where its files lie, and how to open them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from armature.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionPipeline

WEIGHTS = Path(__file__).parent / "weights"
DRAWINGS = Path(__file__).parent / "drawings"


def embedded_base_path() -> Path:
    """The StableDiffusionPipeline folder of the embedded base. CheckpointError when the installation lacks it."""
    path = WEIGHTS / "base"
    if not (path / "model_index.json").is_file():
        raise CheckpointError(f"The embedded base model is missing at {path}; install Armature whole.")
    return path


def embedded_adapter_kinds() -> tuple[str, ...]:
    """Kinds of the embedded adapters that this installation has, in alphabetical order."""
    folder = WEIGHTS / "adapters"
    return tuple(sorted(path.name for path in folder.glob("*") if (path / "config.json").is_file()))


def embedded_adapter_path(kind: str) -> Path:
    """The adapter folder of a kind. CheckpointError, naming the kinds that are there, for any other."""
    path = WEIGHTS / "adapters" / kind
    if not (path / "config.json").is_file():
        known = ", ".join(embedded_adapter_kinds()) or "none"
        raise CheckpointError(f"There is no embedded adapter {kind!r}; this installation has: {known}.")
    return path


def embedded_pipeline(dtype: torch.dtype | None = None) -> StableDiffusionPipeline:
    """The embedded base as a pipeline on the CPU, 128 x 128 pixels, without a safety checker.

    dtype: precision of its weights, float32 unless given; the files are half precision.
    Raises CheckpointError when the weights are missing.
    """
    import torch
    from diffusers import StableDiffusionPipeline

    from armature.generation.place import precision_argument

    precision = precision_argument(dtype or torch.float32)
    return StableDiffusionPipeline.from_pretrained(embedded_base_path(), local_files_only=True, **precision)
