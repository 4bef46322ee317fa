"""The end of a training: an adapter that every tool reads, with a card that says how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.save import save_adapter
from armature.errors import CheckpointError
from armature.evaluation.files import write_picture, write_whole
from armature.files import public_name
from armature.training.callbacks.preview import last_sheet
from armature.training.checkpoint.state import TrainerState
from armature.training.export.model_card import Summary, curve_pictures, model_card
from armature.training.logging.metrics import read_metrics
from armature.training.recipe.model import Recipe

FOLDER, ORIGINAL, SAMPLES = "adapter", "adapter-original.safetensors", "samples.png"
_LARGEST_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True)
class Exported:
    """What was written: the diffusers folder, the file in the authors' layout, and notes that a person should read."""

    folder: Path
    original: Path
    notes: tuple[str, ...]


def export(
    run: str | Path,
    adapter: Adapter,
    recipe: Recipe,
    state: TrainerState,
    *,
    dtype: torch.dtype = torch.float16,
) -> Exported:
    """Write RUN/adapter (diffusers folder, model card, curves, last sheet) and RUN/adapter-original.safetensors.

    adapter: as it is to be given away, with averaged weights where there are any; it stays as it is. state:
    the extent of the training. dtype: of the files, float16 or float32; weights beyond float16's range are kept in
    float32, and a note says so. Both files carry kind, family, contract, extractor and a summary of the training.
    Raises CheckpointError for weights that are not finite and when the disk refuses.
    """
    run = Path(run)
    tensors, notes = _cast(adapter.state_dict(), dtype)
    lines = read_metrics(run)
    summary = Summary.of(recipe, adapter, lines, state)
    card = replace(adapter.card, kind=recipe.adapter.kind, metadata=_metadata(adapter.card, recipe, summary))
    folder = save_adapter(adapter, run / FOLDER, tensors=tensors, card=card)
    original = save_adapter(adapter, run / ORIGINAL, layout="original", tensors=tensors, card=card)
    curves = curve_pictures(lines)
    for name, picture in curves.items():
        write_picture(folder / name, picture)
    sheet = last_sheet(run / "samples")
    if sheet is not None:
        _copied(sheet, folder / SAMPLES)
    pictures = (*curves, *(() if sheet is None else (SAMPLES,)))
    write_whole(folder / "README.md", model_card(summary, adapter, card, pictures))
    return Exported(folder, original, notes)


def _cast(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights in the files' precision, and a note when they have to keep a wider one."""
    largest = 0.0
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{name} holds NaN or infinity; nothing was written. Export an earlier checkpoint.")
        largest = max(largest, float(tensor.abs().max()) if tensor.numel() else 0.0)
    notes: tuple[str, ...] = ()
    if dtype == torch.float16 and largest > _LARGEST_HALF:
        dtype = torch.float32
        notes = (f"The largest weight is {largest:.3g}, beyond float16's range: the files are in float32.",)
    return {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in tensors.items()}, notes


def _metadata(card: AdapterCard, recipe: Recipe, summary: Summary) -> dict[str, Any]:
    """What travels in the files' headers, JSON-ready."""
    kept = {name: value for name, value in card.metadata.items() if name not in ("training", "extractor", "figures")}
    return {
        **kept,
        "extractor": summary.extractor,
        "extractor_options": {
            name: list(value) if isinstance(value, tuple) else value for name, value in recipe.data.extract.items()
        },
        "training": {**summary.training, "data": public_name(recipe.data.source)},
        "figures": dict(summary.figures),
    }


def _copied(source: Path, target: Path) -> None:
    try:
        content = source.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{source} cannot be read ({error}).") from error
    write_whole(target, content)
