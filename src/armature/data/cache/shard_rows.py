"""Framed samples -> the tensors of a cache's shards, with a checksum for every row."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from armature.bases.text import TextStates
from armature.data.encoding.batch import stack_controls, time_ids_of
from armature.data.encoding.encoder import Encoder
from armature.data.encoding.identity import bytes_of
from armature.data.samples.sample import Picture
from armature.errors import DatasetError

# What a row's checksum covers, and a caption's.
ROW_PARTS = ("numbers", "variants", "moments", "control", "control_bits", "caption", "time_ids")
TEXT_PARTS = ("text", "pooled")


@dataclass(frozen=True, eq=False)
class PictureRow:
    """A framed picture with its number and variant."""

    number: int
    variant: int
    picture: Picture


@dataclass(frozen=True, eq=False)
class ControlRow:
    """A control map with the number and variant of its sample."""

    number: int
    variant: int
    control: np.ndarray


def picture_tensors(encoder: Encoder, rows: Iterable[PictureRow], done: Callable[[int], None]) -> dict[str, Tensor]:
    """Encode n pictures of one size, n > 0, as the tensors of a shard.

    rows: pulled as they are needed, so that pictures need not be in memory together. done: told how many were encoded.
    Returns numbers, variants (n,); moments (n, 2c, h, w) float16, mean then standard deviation; caption (n,): which of
    the m different captions; text (m, tokens, width) and, for SDXL, pooled (m, width) and time_ids (n, 6); row_sums,
    text_sums: CRC-32 of each. Raises DatasetError when an answer has no finite half-precision form.
    """
    moments: list[Tensor] = []
    seen: list[PictureRow] = []
    for group in _groups(iter(rows), encoder):
        pixels = np.stack([row.picture.pixels for row in group])
        mean_std = torch.cat(encoder.pictures(pixels), 1)
        moments.append(_half(mean_std, torch.float16, [row.picture.key for row in group], "autoencoder"))
        seen += [PictureRow(row.number, row.variant, _without_pixels(row.picture)) for row in group]
        done(len(group))
    captions = list(dict.fromkeys(row.picture.caption for row in seen))
    where = {caption: at for at, caption in enumerate(captions)}
    tensors = {
        **_names(seen),
        "moments": torch.cat(moments),
        "caption": torch.tensor([where[row.picture.caption] for row in seen], dtype=torch.int32),
        **text_tensors(encoder.texts(captions), captions),
    }
    if encoder.family.sizes:
        tensors["time_ids"] = torch.from_numpy(time_ids_of([row.picture for row in seen]))
    tensors["row_sums"] = _sums(tensors, ROW_PARTS, len(seen))
    tensors["text_sums"] = _sums(tensors, TEXT_PARTS, len(captions))
    return tensors


def control_tensors(rows: Sequence[ControlRow]) -> dict[str, Tensor]:
    """n control maps of one size, n > 0, as the tensors of a shard.

    Returns numbers, variants (n,); control (n, 1 or 3, 8h, 8w) uint8, or control_bits with eight pixels a byte where
    all are 0 or 255; row_sums: CRC-32 of each.
    """
    tensors = {**_names(rows), **_packed(stack_controls([row.control for row in rows]))}
    tensors["row_sums"] = _sums(tensors, ROW_PARTS, len(rows))
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


def _names(rows: Sequence[PictureRow] | Sequence[ControlRow]) -> dict[str, Tensor]:
    return {
        "numbers": torch.tensor([row.number for row in rows], dtype=torch.int64),
        "variants": torch.tensor([row.variant for row in rows], dtype=torch.int32),
    }


def _groups(rows: Iterable[PictureRow], encoder: Encoder) -> Iterable[list[PictureRow]]:
    """Rows in groups that the autoencoder takes at once; the first row tells the size of all."""
    rows = iter(rows)
    for first in rows:
        count = encoder.at_once(first.picture.pixels.shape[1], first.picture.pixels.shape[0])
        yield [first, *itertools.islice(rows, count - 1)]


def _without_pixels(picture: Picture) -> Picture:
    return Picture(
        picture.key,
        picture.caption,
        np.empty((0, 0, 3), np.uint8),
        picture.original,
        picture.corner,
        picture.target,
    )


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
