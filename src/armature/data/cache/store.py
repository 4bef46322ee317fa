"""One store of a cache: a finished folder of shards that holds encoded pictures, or control maps."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from armature.data.cache.manifest import Manifest
from armature.data.cache.shard import Shard, check_size, damaged
from armature.errors import DatasetError
from armature.files import file_digest

INDEX = "index.safetensors"
EMPTY = "empty.safetensors"
_OPEN_SHARDS = 256


class Store:
    """The rows of one finished folder, numbered as they lie.

    folder, manifest: where it lies, what it says about itself. number, variant, place, shard: (rows,) of each row; see
    ShardPlan. held: (rows,) bool, whether it is of a held-out sample.
    Raises DatasetError, which names the file, when one is missing or has another size than was written.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        for written in manifest.files():
            check_size(folder / written.file, written.size)
        self.folder, self.manifest = folder, manifest
        index = load_tensors(folder / INDEX)
        self.number, self.variant, self.place, self.shard, self._row = (
            index[name].numpy() for name in ("number", "variant", "place", "shard", "row")
        )
        self.held = np.array([shard.part == "held_out" for shard in manifest.shards], bool)[self.shard]
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def finished(cls, folder: Path) -> Store | None:
        """The store in a folder, or None when there is none or it is not finished.

        Raises DatasetError when it was finished and a file of it is missing or has another size by now.
        """
        manifest = Manifest.read(folder)
        return None if manifest is None else cls(folder, manifest)

    @classmethod
    def whole(cls, folder: Path) -> Store | None:
        """The same, and None when anything is damaged, which is made again."""
        try:
            return cls.finished(folder)
        except DatasetError:
            # The message would tell the user to ask for just that.
            return None

    def keys(self, variants: int) -> np.ndarray:
        """(rows,) int64 that tell sample and variant apart, the same in every store of so many variants."""
        return self.number.astype(np.int64) * variants + self.variant

    def at(self, row: int) -> tuple[Shard, int]:
        """The opened shard of a row, and its row there. Safe to call from several threads."""
        return self._opened(int(self.shard[row])), int(self._row[row])

    def verify(self) -> None:
        """Read everything and compare the checksums. Raises DatasetError that names the first damaged file."""
        for written in self.manifest.files():
            path = self.folder / written.file
            check_size(path, written.size)
            if file_digest(path) != written.checksum:
                raise damaged(path, "its checksum is not the one that was written")

    def _opened(self, number: int) -> Shard:
        with self._lock:
            if number in self._open:
                self._open.move_to_end(number)
                return self._open[number]
            written = self.manifest.shards[number].written
            assert written is not None  # the index names only shards that have rows
            shard = self._open[number] = Shard(self.folder / written.file, written.size)
            if len(self._open) > _OPEN_SHARDS:
                self._open.popitem(last=False)
            return shard


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """A small file of a store, in memory. Raises DatasetError when it cannot be read."""
    try:
        # Cloned, because what load_file gives may still lie in the file.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise damaged(path, str(error)) from error
