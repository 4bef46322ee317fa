"""A cache of encoded samples on disk: found by content, read a batch at a time."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from armature.data.collate import StoredBatch, stack_controls
from armature.data.encode import Encoder
from armature.data.files import file_digest
from armature.data.manifest import VERSION, Manifest
from armature.data.sample import Frames, TextStates
from armature.data.settings import CacheSettings
from armature.data.shard import Shard, check_size, damaged
from armature.errors import DatasetError

INDEX = "index.safetensors"
EMPTY = "empty.safetensors"
_OPEN_SHARDS = 256


def cache_folder(frames: Frames, encoder: Encoder, settings: CacheSettings) -> Path:
    """Where the cache of these samples, this base and these settings lies, whether it is there or not.

    Its name changes with everything that decides the content, and with nothing else: the frames, which of them are
    held out, the encoders' weights and precision, the number of variants, the format.
    """
    digest = hashlib.blake2b(digest_size=16)
    words = (VERSION, frames.fingerprint(), encoder.identity(), str(encoder.text_dtype), settings.variants)
    digest.update(repr(words).encode())
    for numbers in (frames.training, frames.held_out):
        digest.update(np.fromiter(numbers, "<i8", len(numbers)).tobytes() + b"|")
    return Path(settings.folder).expanduser() / digest.hexdigest()


def open_cache(frames: Frames, encoder: Encoder, settings: CacheSettings) -> Cache | None:
    """The finished cache of these samples, or None when it is not there yet or not finished.

    Raises DatasetError when it was finished and a file of it is missing or has another size by now.
    """
    folder = cache_folder(frames, encoder, settings)
    manifest = Manifest.read(folder)
    return None if manifest is None else Cache(folder, manifest)


class Cache:
    """A finished cache.

    folder: where it lies. manifest: what it says about itself. variants: framings of each sample.
    Raises DatasetError, which names the file, when one is missing or has another size than was written.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        for written in manifest.files():
            check_size(folder / written.file, written.size)
        self.folder, self.manifest, self.variants = folder, manifest, manifest.variants
        index = _load(folder / INDEX)
        self._shard, self._row = index["shard"].numpy(), index["row"].numpy()
        self._place = index["place"].numpy()
        numbers = index["number"].numpy()
        held = np.array([shard.part == "held_out" for shard in manifest.shards], bool)[self._shard]
        self._held = np.flatnonzero(held)
        # Rows lie sample by sample, variants in order; a stable sort by number makes each sample's rows findable.
        training = np.flatnonzero(~held)
        self._sorted = training[np.argsort(numbers[training], kind="stable")]
        self._known, self._first, self._count = np.unique(numbers[self._sorted], return_index=True, return_counts=True)
        empty = _load(folder / EMPTY)
        self.empty = TextStates(empty["text"], empty.get("pooled"))
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._lock = threading.Lock()

    def training(self) -> dict[tuple[int, int], np.ndarray]:
        """Numbers of the usable training samples by bucket (width, height)."""
        return self._by_bucket(self._known, self._shard[self._sorted[self._first]])

    def held_out(self) -> dict[tuple[int, int], np.ndarray]:
        """Entries, for `read`, of the held-out samples by bucket (width, height), in the frames' order."""
        return self._by_bucket(self._held, self._shard[self._held])

    def places(self, entries: np.ndarray) -> np.ndarray:
        """Where the samples of these entries stand in `Frames.training` or `Frames.held_out`."""
        return self._place[entries]

    def entries(self, numbers: np.ndarray, variants: np.ndarray) -> np.ndarray:
        """Entries, for `read`, of training samples; numbers, variants: (n,).

        A sample of which some variants failed gives the others in turn. Raises DatasetError for an unknown number.
        """
        at = np.minimum(np.searchsorted(self._known, numbers), len(self._known) - 1)
        if (unknown := self._known[at] != numbers).any():
            raise DatasetError(f"The cache {self.folder} has no training sample {numbers[unknown][0]}.")
        return self._sorted[self._first[at] + variants % self._count[at]]

    def read(self, entries: np.ndarray, positions: np.ndarray) -> StoredBatch:
        """Read n samples of one bucket; nothing else of their shards is read. positions: see EncodedBatch.

        Safe to call from several threads. Raises DatasetError, which names the file, for damaged data.
        """
        rows = [(self._opened(int(self._shard[e])), int(self._row[e])) for e in entries]
        texts = [shard.text(row) for shard, row in rows]
        pooled = [p for _, p in texts if p is not None]
        times = [t for t in (shard.time_ids(row) for shard, row in rows) if t is not None]
        return StoredBatch(
            keys=[shard.key(row) for shard, row in rows],
            positions=torch.from_numpy(positions.astype(np.int64)),
            moments=torch.stack([shard.moments(row) for shard, row in rows]),
            text=TextStates(torch.stack([t for t, _ in texts]), torch.stack(pooled) if pooled else None),
            control=torch.from_numpy(_same_channels([shard.control(row) for shard, row in rows])),
            time_ids=torch.stack(times) if times else None,
        )

    def verify(self) -> None:
        """Read everything and compare the checksums. Raises DatasetError that names the first damaged file."""
        for written in self.manifest.files():
            path = self.folder / written.file
            check_size(path, written.size)
            if file_digest(path) != written.checksum:
                raise damaged(path, "its checksum is not the one that was written")

    def _by_bucket(self, values: np.ndarray, shards: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
        records = self.manifest.shards
        sizes = sorted({records[s].bucket for s in np.unique(shards)})
        which = np.array([sizes.index(r.bucket) if r.bucket in sizes else -1 for r in records], np.int32)
        return {size: values[which[shards] == at] for at, size in enumerate(sizes)}

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


def _same_channels(maps: list[np.ndarray]) -> np.ndarray:
    """Stack (1 or 3, h, w) maps: shards of grey and of coloured maps meet in a batch."""
    if len({m.shape[0] for m in maps}) == 1:
        return np.stack(maps)
    return stack_controls([m[0] if m.shape[0] == 1 else m.transpose(1, 2, 0) for m in maps])


def _load(path: Path) -> dict[str, torch.Tensor]:
    try:
        # In memory, because what load_file gives may still lie in the file.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise damaged(path, str(error)) from error
