"""Work out a network's numbers from the shapes of its tensors (under the authors' names)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from armature.adapters.spec import AdapterSpec, Network
from armature.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]

_SD_STRIDE, _XL_STRIDE = 8, 16
_FULL_STRIDES: tuple[tuple[Network, int], ...] = (("full", _SD_STRIDE), ("full_xl", _XL_STRIDE))
# SDXL's adapters take 1 or 3 channels at stride 16.
_XL_STEMS = (1 * _XL_STRIDE**2, 3 * _XL_STRIDE**2)
# Levels of every published adapter.
_USUAL_LEVELS = 4


@dataclass(frozen=True)
class Evidence:
    """What is known of a file beside its weights.

    spec: stated by a config or by metadata; believed, and checked against the keys.
    network: what the file's name says, for example "sd15" or "sdxl"; used only where keys fit several networks.
    in_channels: stated by the user, for a file whose keys fit several numbers.
    """

    spec: AdapterSpec | None = None
    network: Network | None = None
    in_channels: int | None = None


def read_full(shapes: Shapes, where: str, evidence: Evidence) -> tuple[AdapterSpec, tuple[str, ...]]:
    """The spec of a full or SDXL network, and notes on what had to be assumed.

    Average pooling leaves no keys, so a full adapter of 12 (or 4) channels at stride 8 can have the very keys and
    shapes of an SDXL adapter of 3 (or 1) at stride 16. Widths that change after the third level and the places of
    convolutional downsampling decide where they can; then config, metadata, the user and the file's name; then the
    published files, all of which are SDXL's.
    """
    if evidence.spec is not None:
        return _stated(evidence.spec, shapes, "conv_in.weight", where), ()
    specs = _full_candidates(shapes)
    if evidence.in_channels is not None:
        specs = [spec for spec in specs if spec.in_channels == evidence.in_channels]
    if not specs:
        raise CheckpointError(f"{where} {_unfit(shapes['conv_in.weight'], evidence)}")
    stem = shapes["conv_in.weight"][1]
    usual: Network = evidence.network or ("full_xl" if stem in _XL_STEMS else "full")
    specs.sort(key=lambda spec: (spec.network == usual, spec.levels == _USUAL_LEVELS, spec.blocks), reverse=True)
    best = specs[0]
    rival = next((s for s in specs[1:] if s.network != best.network and s.channels == best.channels), None)
    if rival is None or stem not in _XL_STEMS or evidence.network is not None:
        return best, ()
    return best, (
        f"{stem} stem channels are read as {best.in_channels} channels at stride {best.stride} ({best.network}), as in "
        f"every published file; {rival.in_channels} channels at stride {rival.stride} ({rival.network}) have the same "
        f"keys: say in_channels={rival.in_channels} if that is meant.",
    )


def read_light(shapes: Shapes, where: str, evidence: Evidence) -> tuple[AdapterSpec, tuple[str, ...]]:
    """The spec of a light network; its keys leave nothing open but the stem's stride, which is 8."""
    first = shapes["body.0.in_conv.weight"]
    if evidence.spec is not None:
        return _stated(evidence.spec, shapes, "body.0.in_conv.weight", where), ()
    channels = _widths(shapes, r"body\.(\d+)\.out_conv\.(?:weight|bias)")
    blocks = len(_widths(shapes, r"body\.0\.body\.(\d+)\.block[12]\.(?:weight|bias)"))
    in_channels, rest = divmod(first[1], _SD_STRIDE**2) if len(first) == 4 else (0, 1)
    wanted = evidence.in_channels in (None, in_channels)
    if rest or not in_channels or not channels or not blocks or not wanted or not 0 < first[0] <= channels[0]:
        raise CheckpointError(f"{where} {_unfit(first, evidence)}")
    return AdapterSpec("light", in_channels, channels, blocks, _SD_STRIDE, divisor=channels[0] // first[0]), ()


def _full_candidates(shapes: Shapes) -> list[AdapterSpec]:
    """Every network whose keys could be these; a later comparison tells damaged files."""
    widths = _widths(shapes, r"body\.(\d+)\.block[12]\.(?:weight|bias)")
    stem = shapes["conv_in.weight"]
    if not widths or len(stem) != 4:
        return []
    total = len(widths)
    halved = {index for index in range(total) if f"body.{index}.down_opt.op.weight" in shapes}
    skep, kernel = "body.0.skep.weight" in shapes, shapes.get("body.0.block2.weight", (1,))[-1]
    found = []
    for blocks in (count for count in range(1, total + 1) if total % count == 0):
        channels = widths[::blocks]
        if any(widths[index] != channels[index // blocks] for index in range(total)):
            continue
        for network, stride in _FULL_STRIDES:
            in_channels, rest = divmod(stem[1], stride**2)
            if rest or not in_channels:
                continue
            try:
                spec = AdapterSpec(network, in_channels, channels, blocks, stride, kernel, skep, bool(halved))
            except CheckpointError:
                continue
            if _fits(spec, halved):
                found.append(spec)
    return found


def _fits(spec: AdapterSpec, halved: set[int]) -> bool:
    """Whether a network halves where the file has convolutions for it, and is told from the other by doing so."""
    if spec.network == "full_xl" and not any(spec.downs):
        return False
    return not halved or halved == {level * spec.blocks for level, down in enumerate(spec.downs) if down}


def _stated(spec: AdapterSpec, shapes: Shapes, stem_name: str, where: str) -> AdapterSpec:
    # A made-up number of blocks must not be built only to find that the keys are not there.
    if spec.levels * spec.blocks > len(shapes):
        raise CheckpointError(
            f"{where} holds {len(shapes)} tensors, but its config or metadata states {spec.levels} levels of "
            f"{spec.blocks} blocks; use the config that came with the weights."
        )
    stem = shapes[stem_name][1:2]
    if stem != (spec.stem_channels,):
        raise CheckpointError(
            f"{where} has {stem[0] if stem else 0} stem channels in its weights, but its config or metadata states "
            f"{spec.in_channels} channels at stride {spec.stride}, which make {spec.stem_channels}. "
            "The folder mixes two adapters; use the config that came with the weights."
        )
    return spec


def _widths(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    """The output width at each index that a pattern finds, from 0 to the highest.

    A gap takes the width before it, so that a damaged file is still recognised and the comparison can name its gaps.
    """
    places: dict[int, int] = {}
    for name, shape in shapes.items():
        # More than six digits is no index of any network.
        if (match := re.fullmatch(pattern, name)) and shape and len(match[1]) < 7:
            places[int(match[1])] = shape[0]
    if not places or max(places) > len(shapes):
        return ()
    widths: list[int] = []
    for index in range(max(places) + 1):
        widths.append(places.get(index, widths[-1] if widths else places[min(places)]))
    return tuple(widths)


def _unfit(stem: tuple[int, ...], evidence: Evidence) -> str:
    said = "" if evidence.in_channels is None else f" with the stated in_channels={evidence.in_channels}"
    return (
        f"has the keys of an adapter, but no network fits its shapes{said}: the stem is {list(stem)}; expected "
        f"{_SD_STRIDE**2} stem channels per picture channel (SD) or {_XL_STRIDE**2} (SDXL), and blocks numbered from 0 "
        "on. Use an intact file."
    )
