"""Recognise an adapter by the names and shapes of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from armature.adapters.base import Adapter
from armature.adapters.readers import Layout
from armature.adapters.registry import NETWORKS, build_adapter, network_of
from armature.adapters.spec import AdapterSpec, Shapes
from armature.checkpoints.containers import common_prefix
from armature.checkpoints.foreign import recognise
from armature.errors import CheckpointError

_SHOWN = 3
# Feature maps of every published adapter.
_USUAL_MAPS = 4


@dataclass(frozen=True)
class Evidence:
    """What is known of a file beside its weights.

    spec: stated by a config or by metadata; believed, and checked against the keys.
    family: what the file's name says, for example "sd15" or "sdxl"; used only where keys fit several networks.
    in_channels: stated by the user, for a file whose keys fit several numbers.
    """

    spec: AdapterSpec | None = None
    family: str | None = None
    in_channels: int | None = None


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
    Raises CheckpointError when it is no adapter (saying what it is, when known), when keys are missing, left over or of
    another shape, and when the evidence contradicts the keys.
    """
    evidence = evidence or Evidence()
    layout, names = _our_names(shapes)
    ours = {names[name]: tuple(shape) for name, shape in shapes.items()}
    networks = [network for network in NETWORKS.values() if network.recognises(ours)]
    if not networks:
        raise CheckpointError(f"{where} {_stranger(shapes)}")
    if (stem := networks[0].stem) not in ours:
        raise CheckpointError(f"{where} has an adapter's keys, but {stem} is missing; use an intact file.")
    if evidence.spec is not None:
        spec, notes = evidence.spec, ()
        if contradiction := spec.contradiction(ours):
            raise CheckpointError(f"{where} {contradiction}")
    else:
        spec, notes = _read(networks, ours, where, evidence)
    try:
        expected = expected_shapes(spec)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{where} states a {spec.network} network of sizes that no computer has ({str(error)[:120]}); use the "
            "config that came with the weights."
        ) from error
    _compare(expected, ours, spec, where)
    return Detection(spec, layout, names, notes)


def _read(
    networks: list[type[Adapter]], shapes: Shapes, where: str, evidence: Evidence
) -> tuple[AdapterSpec, tuple[str, ...]]:
    """The most likely structure, and a note where another network's files have the very same keys.

    What the user and the file's name say decides; then the numbers of the published files.
    """
    specs = [spec for network in networks for spec in network.candidates(shapes)]
    if evidence.in_channels is not None:
        specs = [spec for spec in specs if spec.picture_channels == evidence.in_channels]
    if not specs:
        raise CheckpointError(f"{where} {_unfit(networks, shapes, evidence)}")
    specs.sort(key=lambda spec: _likelihood(spec, evidence), reverse=True)
    best = specs[0]
    rival = next((s for s in specs[1:] if s.network != best.network and _widths(s) == _widths(best)), None)
    assumed = network_of(best).assumptions(best)
    if rival is None or evidence.family is not None or not network_of(best).usual(best):
        return best, assumed
    return best, (
        *assumed,
        f"Read as {best.reading}, as in every published file; {rival.reading} have the same keys: say "
        f"in_channels={rival.picture_channels} if that is meant.",
    )


def _likelihood(spec: AdapterSpec, evidence: Evidence) -> tuple[bool, bool, bool, int]:
    network = network_of(spec)
    named = evidence.family is not None and network.family == evidence.family
    return named, network.usual(spec), len(spec.maps) == _USUAL_MAPS, -len(spec.maps)


def _widths(spec: AdapterSpec) -> list[int]:
    return [feature.channels for feature in spec.maps]


def expected_shapes(spec: AdapterSpec) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a network, without allocating it."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build_adapter(spec).state_dict().items()}


def _our_names(shapes: Shapes) -> tuple[Layout, dict[str, str]]:
    """Whose names these are, and ours for each: wrappers' prefixes taken off, diffusers' names translated."""
    prefix = common_prefix(shapes)
    bare = {name: name.removeprefix(prefix) for name in shapes}
    # The same wrappers add the prefix that diffusers' own names have.
    theirs = {f"adapter.{name}": name for name in bare.values()}
    tables = [network.keys.to_original(theirs) for network in NETWORKS.values() if network.keys is not None]
    known = max(tables, key=len, default={})
    if not any(".resnets." in name for name in known):
        return "original", bare
    ours = {theirs[name]: original for name, original in known.items()}
    return "diffusers", {name: ours.get(short, short) for name, short in bare.items()}


def _stranger(shapes: Shapes) -> str:
    if sentence := recognise(shapes):
        return sentence
    keys = ", ".join(list(shapes)[:_SHOWN])
    stems = ", ".join(f"{network.stem} ({name})" for name, network in NETWORKS.items())
    return (
        f"is no adapter that Armature knows: {len(shapes)} tensors, among them {keys}; expected one with {stems}. "
        "Check that this is a T2I-Adapter file."
    )


def _unfit(networks: list[type[Adapter]], shapes: Shapes, evidence: Evidence) -> str:
    said = "" if evidence.in_channels is None else f" with the stated in_channels={evidence.in_channels}"
    wanted = " or ".join(dict.fromkeys(network.expects for network in networks))
    return (
        f"has the keys of an adapter, but no network fits its shapes{said}: the stem is "
        f"{list(shapes[networks[0].stem])}; expected {wanted}, and blocks numbered from 0 on. Use an intact file."
    )


def _compare(expected: Shapes, given: Shapes, spec: AdapterSpec, where: str) -> None:
    """Raise unless the file holds exactly the tensors of the network."""
    problems = []
    if missing := [name for name in expected if name not in given]:
        problems.append(f"{len(missing)} missing ({_some(missing)})")
    if extra := [name for name in given if name not in expected]:
        problems.append(f"{len(extra)} left over ({_some(extra)})")
    wrong = [name for name in expected if name in given and tuple(given[name]) != tuple(expected[name])]
    if wrong:
        name = wrong[0]
        problems.append(
            f"{len(wrong)} of another shape ({name} is {list(given[name])}, expected {list(expected[name])})"
        )
    if problems:
        widths = f" of widths {_widths(spec)}" if spec.maps else ""
        raise CheckpointError(
            f"{where} looks like a {spec.network} adapter{widths}, but its keys do not fit: "
            f"{'; '.join(problems)}. Use an intact file of exactly one adapter."
        )


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
