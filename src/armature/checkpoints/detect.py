"""Recognise an adapter by the names and shapes of its weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from armature.adapters.build import build_adapter
from armature.adapters.spec import AdapterSpec
from armature.checkpoints.containers import common_prefix
from armature.checkpoints.foreign import recognise
from armature.checkpoints.keymap import Layout, to_original
from armature.checkpoints.structure import Evidence, read_full, read_light
from armature.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]

_SHOWN = 3


@dataclass(frozen=True)
class Detection:
    """What a file's keys say.

    spec: the network. layout: whose key names the file uses. names: file name -> our name of every tensor.
    notes: readings that another one could contradict.
    """

    spec: AdapterSpec
    layout: Layout
    names: Mapping[str, str]
    notes: tuple[str, ...] = ()


def detect(shapes: Shapes, where: str, evidence: Evidence | None = None) -> Detection:
    """The network whose weights have these names and shapes.

    shapes: of every tensor in the file. where: the file's name for messages.
    evidence: what else is known: the config or metadata beside the weights, and what the file's name says.
    Raises CheckpointError when it is no spatial adapter (saying what it is, when known), when keys are missing, left
    over or of another shape, and when the evidence contradicts the keys.
    """
    evidence = evidence or Evidence()
    layout, names = _our_names(shapes)
    ours = {names[name]: tuple(shape) for name, shape in shapes.items()}
    read, stem = _reader(ours)
    if read is None:
        raise CheckpointError(f"{where} {_stranger(shapes)}")
    if stem not in ours:
        raise CheckpointError(f"{where} has an adapter's keys, but {stem} is missing; use an intact file.")
    spec, notes = read(ours, where, evidence)
    _compare(expected_shapes(spec), ours, spec, where)
    return Detection(spec, layout, names, notes)


def _reader(ours: Shapes) -> tuple[Callable[..., tuple[AdapterSpec, tuple[str, ...]]] | None, str]:
    """Who can read these keys, and the tensor that tells the stem's channels."""
    if any(re.fullmatch(r"body\.\d+\.(body\.\d+|out_conv)\..+", name) for name in ours):
        return read_light, "body.0.in_conv.weight"
    if any(re.fullmatch(r"body\.\d+\.block[12]\.(weight|bias)", name) for name in ours):
        return read_full, "conv_in.weight"
    return None, ""


def expected_shapes(spec: AdapterSpec) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a network, without allocating it."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build_adapter(spec).state_dict().items()}


def _our_names(shapes: Shapes) -> tuple[Layout, dict[str, str]]:
    """Whose names these are, and ours for each: wrappers' prefixes taken off, diffusers' names translated."""
    prefix = common_prefix(shapes)
    bare = {name: name.removeprefix(prefix) for name in shapes}
    if not any(".resnets." in name for name in shapes):
        return "original", bare
    places = [name.split(".") for name in bare.values() if ".resnets." in name]
    digits = [(part[1], part[3]) for part in places if len(part) > 4 and part[1].isdigit() and part[3].isdigit()]
    levels = max((int(level) for level, _ in digits), default=-1) + 1
    blocks = max((int(block) for _, block in digits), default=-1) + 1
    # An index in a made-up key must not make the table large; a real adapter has a handful of each.
    if levels * blocks > len(shapes):
        return "diffusers", bare
    network = "full" if "conv_in.weight" in bare.values() else "light"
    full = {f"adapter.{name}": file_name for file_name, name in bare.items()}
    ours = to_original(list(full), network, levels, blocks)
    return "diffusers", {file_name: ours[name].removeprefix("adapter.") for name, file_name in full.items()}


def _stranger(shapes: Shapes) -> str:
    if sentence := recognise(shapes):
        return sentence
    keys = ", ".join(list(shapes)[:_SHOWN])
    return (
        f"is no adapter that Armature knows: {len(shapes)} tensors, among them {keys}; expected conv_in and body.* "
        "(full, SDXL) or body.*.in_conv and body.*.out_conv (light). Check that this is a T2I-Adapter file."
    )


def _compare(expected: Shapes, found: Shapes, spec: AdapterSpec, where: str) -> None:
    """Raise unless the file holds exactly the tensors of the network."""
    problems = []
    if missing := [name for name in expected if name not in found]:
        problems.append(f"{len(missing)} missing ({_some(missing)})")
    if extra := [name for name in found if name not in expected]:
        problems.append(f"{len(extra)} left over ({_some(extra)})")
    wrong = [name for name in expected if name in found and tuple(found[name]) != tuple(expected[name])]
    if wrong:
        name = wrong[0]
        problems.append(
            f"{len(wrong)} of another shape ({name} is {list(found[name])}, expected {list(expected[name])})"
        )
    if problems:
        raise CheckpointError(
            f"{where} looks like a {spec.network} adapter of widths {list(spec.channels)}, but its keys do not fit: "
            f"{'; '.join(problems)}. Use an intact file of exactly one adapter."
        )


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
