"""Framed samples -> the tensors of a cache's shard, with a checksum for every row."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from armature.data.collate import stack_controls, time_ids_of
from armature.data.encode import Encoder
from armature.data.identity import bytes_of
from armature.data.sample import Framed, TextStates
from armature.errors import DatasetError

# What a row's checksum covers, and a caption's.
ROW_PARTS = ("numbers", "variants", "moments", "control", "control_bits", "caption", "time_ids")
TEXT_PARTS = ("text", "pooled")


@dataclass(frozen=True, eq=False)
class Row:
    """A framed sample with its number and variant."""

    number: int
    variant: int
    framed: Framed


def shard_tensors(encoder: Encoder, rows: Iterable[Row], done: Callable[[int], None]) -> dict[str, Tensor]:
    """Encode n samples of one size, n > 0, as the tensors of a shard.

    rows: pulled as they are needed, so that pictures need not be in memory together. done: told how many were encoded.
    Returns numbers, variants (n,); moments (n, 2c, h, w) float16, mean then standard deviation; control (n, 1 or 3,
    8h, 8w) uint8, or control_bits with eight pixels a byte where all are 0 or 255; caption (n,): which of the m
    different captions; text (m, tokens, width) and, for SDXL, pooled (m, width) and time_ids (n, 6); row_sums,
    text_sums: CRC-32 of each. Raises DatasetError when an answer has no finite half-precision form.
    """
    moments, all_rows, controls = [], [], []
    for group in _groups(iter(rows), encoder):
        pixels = np.stack([row.framed.pixels for row in group])
        mean_std = torch.cat(encoder.pictures(pixels), 1)
        moments.append(_half(mean_std, torch.float16, [row.framed.key for row in group], "autoencoder"))
        controls += [row.framed.control for row in group]
        all_rows += [(row.number, row.variant, _without_pictures(row.framed)) for row in group]
        done(len(group))
    numbers, variants, framed = zip(*all_rows, strict=True)
    captions = list(dict.fromkeys(f.caption for f in framed))
    where = {caption: at for at, caption in enumerate(captions)}
    tensors = {
        "numbers": torch.tensor(numbers, dtype=torch.int64),
        "variants": torch.tensor(variants, dtype=torch.int32),
        "moments": torch.cat(moments),
        "caption": torch.tensor([where[f.caption] for f in framed], dtype=torch.int32),
        **_packed(stack_controls(controls)),
        **text_tensors(encoder.texts(captions), captions),
    }
    if encoder.family == "sdxl":
        tensors["time_ids"] = torch.from_numpy(time_ids_of(framed))
    tensors["row_sums"] = _sums(tensors, ROW_PARTS, len(framed))
    tensors["text_sums"] = _sums(tensors, TEXT_PARTS, len(captions))
    return tensors


def text_tensors(states: TextStates, captions: Sequence[str]) -> dict[str, Tensor]:
    """Text states as they are stored: bfloat16 stays, everything else is float16."""
    tensors = {}
    for name, tensor in (("text", states.states), ("pooled", states.pooled)):
        if tensor is not None:
            kind = torch.bfloat16 if tensor.dtype == torch.bfloat16 else torch.float16
            tensors[name] = _half(tensor, kind, captions, "text encoder")
    return tensors


def row_sum(tensors: dict[str, Tensor], parts: Sequence[str], row: int) -> int:
    """CRC-32 over one row of all those of the named tensors that are there."""
    total = 0
    for name in parts:
        if name in tensors:
            total = zlib.crc32(bytes_of(tensors[name][row : row + 1]), total)
    return total


def _groups(rows: Iterable[Row], encoder: Encoder) -> Iterable[list[Row]]:
    """Rows in groups that the autoencoder takes at once; the first row tells the size of all."""
    rows = iter(rows)
    for first in rows:
        count = encoder.at_once(first.framed.pixels.shape[1], first.framed.pixels.shape[0])
        yield [first, *itertools.islice(rows, count - 1)]


def _without_pictures(framed: Framed) -> Framed:
    nothing = np.empty((0, 0), np.uint8)
    return Framed(framed.key, framed.caption, nothing, nothing, framed.original, framed.corner, framed.target)


def _packed(maps: np.ndarray) -> dict[str, Tensor]:
    binary = not np.logical_and(maps != 0, maps != 255).any()
    if binary and maps.shape[-1] % 8 == 0:
        return {"control_bits": torch.from_numpy(np.packbits(maps != 0, axis=-1))}
    return {"control": torch.from_numpy(np.ascontiguousarray(maps))}


def _half(tensor: Tensor, kind: torch.dtype, names: Sequence[str], part: str) -> Tensor:
    half = tensor.to(kind).cpu().contiguous()
    finite = half.isfinite().flatten(1).all(1)
    if not bool(finite.all()):
        name = names[int(finite.logical_not().nonzero()[0])]
        raise DatasetError(
            f"The {part} answers {name!r} with values that are infinite or too large for half precision. "
            "Take base.precision = 'bfloat16' or 'float32', or another base.vae."
        )
    return half


def _sums(tensors: dict[str, Tensor], parts: Sequence[str], count: int) -> Tensor:
    return torch.tensor([row_sum(tensors, parts, row) for row in range(count)], dtype=torch.int64)
