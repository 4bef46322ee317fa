"""Where the files of the shipped model lie."""

from __future__ import annotations

from pathlib import Path

from armature.errors import CheckpointError

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
        raise CheckpointError(
            f"There is no embedded adapter {kind!r}; this installation has: {known}. Train one and name its folder "
            f"(--adapter {kind}=FOLDER, or adapters= in Python)."
        )
    return path


def annotator_path() -> Path:
    """The weights of the embedded annotator network. CheckpointError when the installation lacks them."""
    path = WEIGHTS / "annotator.safetensors"
    if not path.is_file():
        raise CheckpointError(f"The embedded annotator's weights are missing at {path}; install Armature whole.")
    return path
