"""One shard of a cache: a safetensors file with encoded samples of one bucket, read row by row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from armature.data.cache.files import replacing
from armature.data.cache.shard_rows import ROW_PARTS, TEXT_PARTS, row_sum
from armature.errors import DatasetError

_HEADER = "armature"


def write_shard(path: Path, tensors: dict[str, Tensor], keys: Sequence[str]) -> None:
    """Write a shard whole; the same content gives the same bytes. Raises DatasetError when it cannot be written."""
    with replacing(path) as temporary:
        # One entry: safetensors writes several in no fixed order.
        save_file(tensors, temporary, {_HEADER: json.dumps({"keys": list(keys)})})


class Shard:
    """An opened shard. Its tensors stay on disk (memory-mapped); what is read of them is checked.

    Raises DatasetError, which names the file, when it is missing, of another size than `size` bytes, or unreadable.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        check_size(path, size)
        try:
            with safe_open(path, framework="pt") as file:
                self._keys: list[str] = json.loads(file.metadata()[_HEADER])["keys"]
                self._tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise damaged(path, str(error)) from error
        self._checked = {"row_sums": set[int](), "text_sums": set[int]()}

    def key(self, row: int) -> str:
        """A row's sample."""
        return self._keys[row]

    def moments(self, row: int) -> Tensor:
        """(2c, h, w) float16, mean then standard deviation."""
        self._check(row, "row_sums", ROW_PARTS)
        return self._tensors["moments"][row]

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


def check_size(path: Path, size: int) -> None:
    """Raises DatasetError unless the file is there and has so many bytes."""
    try:
        found = path.stat().st_size
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from error
    if found != size:
        raise damaged(path, f"it has {found} bytes, and {size} were written")


def damaged(path: Path, what: str) -> DatasetError:
    """The error for a file of a cache that is not as it was written."""
    return DatasetError(
        f"{path}, a file of a cache, is damaged: {what}. Delete this file and prepare the cache again; "
        "only what is missing is made anew."
    )
