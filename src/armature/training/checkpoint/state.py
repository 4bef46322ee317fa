"""Where a training stands, and a checkpoint of it: one folder of files that carries its own checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from armature.errors import CheckpointError
from armature.files import file_digest
from armature.foreign import read_json

FORMAT = 2
STATE_NAME = "state.json"


@dataclass(frozen=True)
class TrainerState:
    """The position of a training between two steps.

    step: optimizer steps done. images: samples learned from, over all processes, which is also the position of the
    next one. minutes: of training alone, without preparation, callbacks and saving, over all runs of the program.
    """

    step: int = 0
    images: int = 0
    minutes: float = 0.0


@dataclass(frozen=True, eq=False)
class OptimizerState:
    """What an optimizer remembers. Names are PARAMETER/KEY, as in "body.0.block1.weight/exp_avg".

    tensors: its moments. scalars: what is no tensor, as JSON-ready values.
    """

    tensors: dict[str, Tensor]
    scalars: dict[str, Any]


@dataclass(frozen=True, eq=False)
class LearnerState:
    """All that changes while an adapter learns.

    adapter: live float32 weights. ema: averaged ones, None without. scaler: float16's gradient scaler, None without.
    """

    adapter: dict[str, Tensor]
    ema: dict[str, Tensor] | None
    optimizer: OptimizerState
    scaler: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training between two steps. Everything random follows from the recipe's seed and `state.images`.

    images_per_step: samples of one step, over all processes. recipe: digest of the recipe.
    callbacks_called: whether the previews and measurements that are due at this step were made.
    """

    state: TrainerState
    learner: LearnerState
    images_per_step: int
    recipe: str
    callbacks_called: bool


def write_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Fill an empty folder with a checkpoint. Raises OSError or SafetensorError."""
    learner = checkpoint.learner
    groups = {"adapter": learner.adapter, "ema": learner.ema, "optimizer": learner.optimizer.tensors}
    files: dict[str, Any] = {}
    for name, tensors in groups.items():
        if tensors is not None:
            path = folder / f"{name}.safetensors"
            save_file(_plain(tensors), path)
            files[path.name] = {"bytes": path.stat().st_size, "digest": file_digest(path)}
    facts: dict[str, Any] = {
        "format": FORMAT,
        "state": asdict(checkpoint.state),
        "images_per_step": checkpoint.images_per_step,
        "recipe": checkpoint.recipe,
        "callbacks_called": checkpoint.callbacks_called,
        "optimizer": learner.optimizer.scalars,
        "scaler": learner.scaler,
        "files": files,
    }
    text = json.dumps({**facts, "digest": facts_digest(facts)}, indent=2) + "\n"
    (folder / STATE_NAME).write_text(text, encoding="utf-8")


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint, on the CPU. Raises CheckpointError, in words, unless every byte is what was written."""
    facts = _facts(folder)
    try:
        return _read(folder, facts)
    except (KeyError, TypeError, AttributeError) as error:  # a state.json with a digest of its own, made by hand
        raise CheckpointError(f"{STATE_NAME} does not say all that a checkpoint needs ({error})") from error


def _read(folder: Path, facts: Mapping[str, Any]) -> Checkpoint:
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, wanted in facts["files"].items():
        path = folder / name
        if Path(name).name != name:
            raise CheckpointError(f"{STATE_NAME} names {name!r}, which is no file beside it")
        try:
            if path.stat().st_size != wanted["bytes"]:
                raise CheckpointError(f"{name} has {path.stat().st_size} bytes instead of {wanted['bytes']}")
            if file_digest(path) != wanted["digest"]:
                raise CheckpointError(f"{name} is not what was written")
            tensors[path.stem] = load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{name} cannot be read ({error})") from error
    optimizer = OptimizerState(tensors["optimizer"], facts["optimizer"])
    return Checkpoint(
        TrainerState(**facts["state"]),
        LearnerState(tensors["adapter"], tensors.get("ema"), optimizer, facts["scaler"]),
        images_per_step=facts["images_per_step"],
        recipe=facts["recipe"],
        callbacks_called=facts["callbacks_called"],
    )


def facts_digest(facts: Mapping[str, Any]) -> str:
    """Of everything in state.json but the digest itself."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _facts(folder: Path) -> dict[str, Any]:
    """The checked contents of state.json."""
    try:
        facts = read_json((folder / STATE_NAME).read_text(encoding="utf-8"), finite=False)
        told = facts.pop("digest")
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{STATE_NAME} cannot be read ({error})") from error
    if told != facts_digest(facts):
        raise CheckpointError(f"{STATE_NAME} is not what was written")
    if facts.get("format") != FORMAT:
        raise CheckpointError(f"its format is {facts.get('format')}, and this version of Armature reads {FORMAT}")
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
