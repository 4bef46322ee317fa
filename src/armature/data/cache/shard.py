"""One shard of a cache: a safetensors file with encoded samples of one bucket, each row with its checksum."""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from armature.bases.text import TextStates
from armature.data.cache.manifest import Holds, ShardRecord, writing
from armature.data.encoding.batch import stack_controls, time_ids_of
from armature.data.encoding.encoder import Encoder, bytes_of
from armature.data.samples.sample import NOTHING, CroppedSample
from armature.errors import DatasetError
from armature.foreign import read_json

_HEADER = "armature"
# What a row's checksum covers, and a caption's.
ROW_PARTS = ("numbers", "variants", "moments", "control", "control_bits", "caption", "time_ids")
TEXT_PARTS = ("text", "pooled")
_OPTIONAL = ("pooled", "time_ids")


def write_shard(path: Path, tensors: dict[str, Tensor], keys: Sequence[str]) -> None:
    """Write a shard whole; the same content gives the same bytes. Raises DatasetError when it cannot be written."""
    with writing(path) as temporary:
        # One entry: safetensors writes several in no fixed order.
        save_file(tensors, temporary, {_HEADER: json.dumps({"keys": list(keys)})})


class Shard:
    """An opened shard. Its tensors stay on disk (memory-mapped); what is read of them is checked.

    holds: the store that it is of. record: what the manifest says of it.
    Raises DatasetError, which names the file, when it is missing, of another size than was written, unreadable, or
    holds other things than a shard does.
    """

    def __init__(self, path: Path, holds: Holds, record: ShardRecord) -> None:
        self._path = path
        check_size(path, 0 if record.written is None else record.written.size)
        try:
            with safe_open(path, framework="pt") as file:
                self._keys: list[str] = read_json(file.metadata()[_HEADER])["keys"]
                self._tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            strange = _strange(self._tensors, holds, record)
            if strange is None and not (_is_texts(self._keys) and len(self._keys) == record.rows):
                strange = f"it names not {record.rows} samples"
        except Exception as error:  # foreign types and odd headers fail in many ways
            raise damaged(path, str(error)) from error
        if strange is not None:
            raise damaged(path, strange)
        self._checked = {"row_sums": set[int](), "text_sums": set[int]()}

    def key(self, row: int) -> str:
        """A row's sample."""
        return self._keys[row]

    def moments(self, row: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, each (c, h, w) float16."""
        self._check(row, "row_sums", ROW_PARTS)
        mean, std = self._tensors["moments"][row].chunk(2)
        return mean, std

    def control(self, row: int) -> np.ndarray:
        """(1 or 3, 8h, 8w) uint8."""
        self._check(row, "row_sums", ROW_PARTS)
        if "control" in self._tensors:
            return self._tensors["control"][row].numpy()
        bits = np.unpackbits(self._tensors["control_bits"][row].numpy(), axis=-1)
        return np.multiply(bits, 255, out=bits)

    def text(self, row: int) -> tuple[Tensor, Tensor | None]:
        """States (tokens, width) and pooled (width,) or None."""
        self._check(row, "row_sums", ROW_PARTS)
        caption = int(self._tensors["caption"][row])
        if caption < 0:
            raise damaged(self._path, f"row {row} has no caption")
        self._check(caption, "text_sums", TEXT_PARTS)
        pooled = self._tensors.get("pooled")
        return self._tensors["text"][caption], None if pooled is None else pooled[caption]

    def time_ids(self, row: int) -> Tensor | None:
        """(6,) int32, or None."""
        ids = self._tensors.get("time_ids")
        return None if ids is None else ids[row]

    def _check(self, row: int, sums: str, parts: Sequence[str]) -> None:
        """Compare a row's checksum, the first time that it is read."""
        if row in self._checked[sums]:
            return
        if row >= len(self._tensors[sums]) or row_sum(self._tensors, parts, row) != int(self._tensors[sums][row]):
            raise damaged(self._path, f"row {row} does not have the checksum that was written with it")
        self._checked[sums].add(row)


def _strange(tensors: Mapping[str, Tensor], holds: Holds, record: ShardRecord) -> str | None:
    """What in the tensors is not as in a shard of so many rows and this bucket, or None."""
    rows, (width, height) = record.rows, record.bucket
    whole, half = (torch.int32, torch.int64), (torch.float16, torch.bfloat16)
    captions = len(tensors["text"]) if "text" in tensors and tensors["text"].ndim else 0
    # Types and shape of each; None stands for any length.
    wanted: dict[str, tuple[tuple[torch.dtype, ...], tuple[int | None, ...]]] = {
        "numbers": (whole, (rows,)),
        "variants": (whole, (rows,)),
        "row_sums": (whole, (rows,)),
    }
    if holds == "pictures":
        wanted |= {
            "moments": (half, (rows, None, None, None)),
            "caption": (whole, (rows,)),
            "text": (half, (captions, None, None)),
            "text_sums": (whole, (captions,)),
            "pooled": (half, (captions, None)),
            "time_ids": (whole, (rows, None)),
        }
    elif "control" in tensors:
        wanted["control"] = ((torch.uint8,), (rows, None, height, width))
    else:
        wanted["control_bits"] = ((torch.uint8,), (rows, None, height, width // 8))
    for name, (types, shape) in wanted.items():
        tensor = tensors.get(name)
        if tensor is None:
            if name not in _OPTIONAL:
                return f"it has no {name}"
        elif tensor.dtype not in types or not _fits(tensor.shape, shape):
            return f"its {name} is {tensor.dtype} of shape {list(tensor.shape)}"
    return None


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(b in (None, a) for a, b in zip(shape, wanted, strict=True))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def check_size(path: Path, size: int) -> None:
    """Raises DatasetError unless the file is there and has so many bytes."""
    try:
        there = path.stat().st_size
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from error
    if there != size:
        raise damaged(path, f"it has {there} bytes, and {size} were written")


def damaged(path: Path, what: str) -> DatasetError:
    """The error for a file of a cache that is not as it was written."""
    return DatasetError(
        f"{path}, a file of a cache, is damaged: {what}. Delete this file and prepare the cache again; "
        "only what is missing is made anew."
    )


def picture_tensors(
    encoder: Encoder, samples: Iterable[CroppedSample], done: Callable[[int], None]
) -> dict[str, Tensor]:
    """Encode n pictures of one size, n > 0, as the tensors of a shard.

    samples: pulled as they are needed, so that pictures need not be in memory together. done: told how many were
    encoded.
    Returns numbers, variants (n,); moments (n, 2c, h, w) float16, mean then standard deviation; caption (n,): which of
    the m different captions; text (m, tokens, width) and, for SDXL, pooled (m, width) and time_ids (n, 6); row_sums,
    text_sums: CRC-32 of each. Raises DatasetError when an answer has no finite half-precision form.
    """
    moments: list[Tensor] = []
    seen: list[CroppedSample] = []
    for group in _groups(iter(samples), encoder):
        mean_std = torch.cat(encoder.pictures(np.stack([sample.pixels for sample in group])), 1)
        moments.append(_half(mean_std, torch.float16, [sample.key for sample in group], "autoencoder"))
        # Pictures and maps need not be in memory together.
        seen += [replace(sample, pixels=NOTHING, control=NOTHING) for sample in group]
        done(len(group))
    captions = list(dict.fromkeys(sample.caption for sample in seen))
    where = {caption: at for at, caption in enumerate(captions)}
    tensors = {
        **_names(seen),
        "moments": torch.cat(moments),
        "caption": torch.tensor([where[sample.caption] for sample in seen], dtype=torch.int32),
        **text_tensors(encoder.texts(captions), captions),
    }
    if encoder.family.sizes:
        tensors["time_ids"] = time_ids_of(seen)
    tensors["row_sums"] = _sums(tensors, ROW_PARTS, len(seen))
    tensors["text_sums"] = _sums(tensors, TEXT_PARTS, len(captions))
    return tensors


def control_tensors(samples: Sequence[CroppedSample]) -> dict[str, Tensor]:
    """n control maps of one size, n > 0, as the tensors of a shard.

    Returns numbers, variants (n,); control (n, 1 or 3, 8h, 8w) uint8, or control_bits with eight pixels a byte where
    all are 0 or 255; row_sums: CRC-32 of each.
    """
    tensors = {**_names(samples), **_packed(stack_controls([sample.control for sample in samples]))}
    tensors["row_sums"] = _sums(tensors, ROW_PARTS, len(samples))
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


def _names(samples: Sequence[CroppedSample]) -> dict[str, Tensor]:
    return {
        "numbers": torch.tensor([sample.number for sample in samples], dtype=torch.int64),
        "variants": torch.tensor([sample.variant for sample in samples], dtype=torch.int32),
    }


def _groups(samples: Iterator[CroppedSample], encoder: Encoder) -> Iterator[list[CroppedSample]]:
    """Samples in groups that the autoencoder takes at once; the first one tells the size of all."""
    for first in samples:
        count = encoder.at_once(first.pixels.shape[1], first.pixels.shape[0])
        yield [first, *itertools.islice(samples, count - 1)]


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
