"""Everything that a training has to remember, as one folder of files that carries its own checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from armature.errors import CheckpointError
from armature.training.trainer.optim import OptimizerState

FORMAT = 1
STATE_NAME = "state.json"


@dataclass(frozen=True, eq=False)
class TrainingState:
    """A training between two steps. Everything random follows from the recipe's seed and `images`.

    step: optimizer steps done. images: samples learned from, over all processes, which is also the position of the
    next one. per_step: samples of one step. minutes: of training alone. digest: of the recipe.
    watched: whether previews and measurements due at this step are done.
    adapter: live float32 weights. ema: averaged ones, None without. scaler: float16's gradient scaler, None without.
    """

    step: int
    images: int
    per_step: int
    minutes: float
    digest: str
    watched: bool
    adapter: dict[str, Tensor]
    ema: dict[str, Tensor] | None
    optimizer: OptimizerState
    scaler: dict[str, Any] | None = None


def write_state(state: TrainingState, folder: Path) -> None:
    """Fill an empty folder with a state and have the disk hold it. Raises OSError or SafetensorError."""
    groups = {"adapter": state.adapter, "ema": state.ema, "optimizer": state.optimizer.tensors}
    files: dict[str, Any] = {}
    for name, tensors in groups.items():
        if tensors is not None:
            path = folder / f"{name}.safetensors"
            save_file(_plain(tensors), path)
            files[path.name] = {"bytes": path.stat().st_size, "sha256": _digest(path)}
            flush(path)
    facts: dict[str, Any] = {
        "format": FORMAT,
        "step": state.step,
        "images": state.images,
        "per_step": state.per_step,
        "minutes": state.minutes,
        "recipe": state.digest,
        "watched": state.watched,
        "optimizer": state.optimizer.scalars,
        "scaler": state.scaler,
        "files": files,
    }
    text = json.dumps({**facts, "sha256": _digest_of(facts)}, indent=2) + "\n"
    (folder / STATE_NAME).write_text(text, encoding="utf-8")
    flush(folder / STATE_NAME)
    flush(folder)


def read_state(folder: Path) -> TrainingState:
    """Read a state, on the CPU. Raises CheckpointError, in words, unless every byte is what was written."""
    facts = _facts(folder)
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, wanted in facts["files"].items():
        path = folder / name
        try:
            if path.stat().st_size != wanted["bytes"]:
                raise CheckpointError(f"{name} has {path.stat().st_size} bytes instead of {wanted['bytes']}")
            if _digest(path) != wanted["sha256"]:
                raise CheckpointError(f"{name} is not what was written")
            tensors[path.stem] = load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{name} cannot be read ({error})") from error
    return TrainingState(
        step=facts["step"],
        images=facts["images"],
        per_step=facts["per_step"],
        minutes=facts["minutes"],
        digest=facts["recipe"],
        watched=facts["watched"],
        adapter=tensors["adapter"],
        ema=tensors.get("ema"),
        optimizer=OptimizerState(tensors["optimizer"], facts["optimizer"]),
        scaler=facts["scaler"],
    )


def flush(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder."""
    if path.is_dir() and os.name != "posix":  # folders cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _facts(folder: Path) -> dict[str, Any]:
    """The checked contents of state.json."""
    try:
        facts = json.loads((folder / STATE_NAME).read_text(encoding="utf-8"))
        told = facts.pop("sha256")
    except (OSError, ValueError, AttributeError, KeyError) as error:
        raise CheckpointError(f"{STATE_NAME} cannot be read ({error})") from error
    if told != _digest_of(facts):
        raise CheckpointError(f"{STATE_NAME} is not what was written")
    if facts["format"] != FORMAT:
        raise CheckpointError(f"its format is {facts['format']}, and this version of Armature reads {FORMAT}")
    return facts


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As a file holds them: on the CPU, in row order, each with data of its own (8-bit AdamW shares its tables)."""
    seen: set[int] = set()
    plain = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        plain[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return plain


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
