"""A cache of encoded samples on disk: found by content, read a batch at a time.

It has two stores. One holds what the base's encoders say of pictures and captions, the other the control maps; adapters
of several kinds, and trials with other extractors, share the first, and other bases the second.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from armature.bases.text import TextStates
from armature.data.cache.manifest import VERSION, Holds, Manifest, Written
from armature.data.cache.shard import Shard, check_size, damaged
from armature.data.encoding.batch import EncodedBatch, stack_controls
from armature.data.encoding.encoder import Encoder
from armature.data.samples.sample import CroppedSamples, Failure
from armature.data.settings import CacheSettings
from armature.errors import DatasetError
from armature.files import Digest, file_digest, local_path

INDEX = "index.safetensors"
EMPTY = "empty.safetensors"
_OPEN_SHARDS = 256
_WHOLE = (torch.int32, torch.int64)


@dataclass(frozen=True)
class CacheFolders:
    """Where the two stores of a cache lie, whether they are there or not."""

    pictures: Path
    controls: Path

    def of(self, holds: Holds) -> Path:
        """The folder of one of them."""
        return self.pictures if holds == "pictures" else self.controls


def cache_folders(samples: CroppedSamples, encoder: Encoder, settings: CacheSettings) -> CacheFolders:
    """Where the cache of these samples, this base and these settings lies.

    A name changes with everything that decides the content, and with nothing else. Of both: which samples are there and
    which of them are held out, their crops, the number of variants, the format. Of pictures also the encoders' weights
    and precision; of controls the maps and how they are made.
    """
    content = samples.fingerprint()
    folder = local_path(settings.folder, DatasetError)
    pictures = _name(samples, settings, content.pictures, encoder.identity(), str(encoder.text_dtype))
    return CacheFolders(folder / f"pictures-{pictures}", folder / f"controls-{_name(samples, settings, content.whole)}")


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
        self.number, self.variant, self.place, self.shard, self._row = _read_index(folder / INDEX, manifest)
        self.held = np.array([shard.split == "held_out" for shard in manifest.shards], bool)[self.shard]
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
            record = self.manifest.shards[number]
            assert record.written is not None  # the index names only shards that have rows
            path = self.folder / record.written.file
            shard = self._open[number] = Shard(path, self.manifest.holds, record)
            if len(self._open) > _OPEN_SHARDS:
                self._open.popitem(last=False)
            return shard


class Cache:
    """A finished cache: the samples, in the variants, that both of its stores have.

    pictures, controls: of the same samples. variants: of each sample.
    """

    def __init__(self, pictures: Store, controls: Store) -> None:
        self.pictures, self.controls, self.variants = pictures, controls, pictures.manifest.variants
        # Entries are numbered as the pictures' rows lie.
        wanted, there = pictures.keys(self.variants), controls.keys(self.variants)
        order = np.argsort(there, kind="stable")
        at = np.minimum(np.searchsorted(there, wanted, sorter=order), max(0, len(there) - 1))
        matching = there[order[at]] == wanted if len(there) else np.zeros(len(wanted), bool)
        self._picture_row, self._control_row = np.flatnonzero(matching), order[at[matching]]
        self._shard, self._place = pictures.shard[self._picture_row], pictures.place[self._picture_row]
        numbers, held = pictures.number[self._picture_row], pictures.held[self._picture_row]
        self._held = np.flatnonzero(held)
        # Rows lie sample by sample, variants in order; a stable sort by number makes each sample's rows findable.
        training = np.flatnonzero(~held)
        self._sorted = training[np.argsort(numbers[training], kind="stable")]
        self._known, self._first, self._count = np.unique(numbers[self._sorted], return_index=True, return_counts=True)
        empty = load_tensors(pictures.folder / EMPTY, pictures.manifest.empty)
        if "text" not in empty:
            raise damaged(pictures.folder / EMPTY, "it has no text states")
        self.empty = TextStates(empty["text"], empty.get("pooled"))

    @property
    def folders(self) -> CacheFolders:
        """Where it lies."""
        return CacheFolders(self.pictures.folder, self.controls.folder)

    @property
    def failed(self) -> tuple[Failure, ...]:
        """Every variant that could not be made, once."""
        both = (*self.pictures.manifest.failed, *self.controls.manifest.failed)
        return tuple({(failure.number, failure.variant): failure for failure in both}.values())

    def training(self) -> dict[tuple[int, int], np.ndarray]:
        """Numbers of the usable training samples by bucket (width, height)."""
        return self._by_bucket(self._known, self._shard[self._sorted[self._first]])

    def held_out(self) -> dict[tuple[int, int], np.ndarray]:
        """Entries, for `read`, of the held-out samples by bucket (width, height), in the samples' order."""
        return self._by_bucket(self._held, self._shard[self._held])

    def places(self, entries: np.ndarray) -> np.ndarray:
        """Where the samples of these entries stand in `CroppedSamples.training` or `.held_out`."""
        return self._place[entries]

    def entries(self, numbers: np.ndarray, variants: np.ndarray) -> np.ndarray:
        """Entries, for `read`, of training samples; numbers, variants: (n,).

        A sample of which some variants failed gives the others in turn. Raises DatasetError for an unknown number.
        """
        at = np.minimum(np.searchsorted(self._known, numbers), len(self._known) - 1)
        if (unknown := self._known[at] != numbers).any():
            raise DatasetError(f"The cache {self.pictures.folder} has no training sample {numbers[unknown][0]}.")
        return self._sorted[self._first[at] + variants % self._count[at]]

    def read(self, entries: np.ndarray, positions: np.ndarray) -> EncodedBatch:
        """Read n samples of one bucket as they are stored; nothing else of their shards is read.

        positions: see EncodedBatch. Safe to call from several threads. Raises DatasetError, which names the file, for
        damaged data.
        """
        try:
            return self._read(entries, positions)
        except RuntimeError as error:  # shards that do not agree, each with the checksums of its own
            raise damaged(self.pictures.folder, f"its rows do not fit together ({error})") from error

    def _read(self, entries: np.ndarray, positions: np.ndarray) -> EncodedBatch:
        rows = [self.pictures.at(row) for row in self._picture_row[entries]]
        controls = [self.controls.at(row) for row in self._control_row[entries]]
        texts = [shard.text(row) for shard, row in rows]
        pooled = [p for _, p in texts if p is not None]
        times = [t for t in (shard.time_ids(row) for shard, row in rows) if t is not None]
        moments = [shard.moments(row) for shard, row in rows]
        return EncodedBatch(
            keys=[shard.key(row) for shard, row in rows],
            positions=torch.from_numpy(positions.astype(np.int64)),
            mean=torch.stack([mean for mean, _ in moments]),
            std=torch.stack([std for _, std in moments]),
            text=TextStates(torch.stack([t for t, _ in texts]), torch.stack(pooled) if pooled else None),
            control=torch.from_numpy(_same_channels([shard.control(row) for shard, row in controls])),
            time_ids=torch.stack(times) if times else None,
        )

    def verify(self) -> None:
        """Read everything and compare the checksums. Raises DatasetError that names the first damaged file."""
        self.pictures.verify()
        self.controls.verify()

    def _by_bucket(self, values: np.ndarray, shards: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
        records = self.pictures.manifest.shards
        sizes = sorted({records[s].bucket for s in np.unique(shards)})
        which = np.array([sizes.index(r.bucket) if r.bucket in sizes else -1 for r in records], np.int32)
        return {size: values[which[shards] == at] for at, size in enumerate(sizes)}


def _name(samples: CroppedSamples, settings: CacheSettings, *words: str) -> str:
    numbers = (np.fromiter(part, "<i8", len(part)).tobytes() for part in (samples.training, samples.held_out))
    return Digest(VERSION, *words, settings.variants, *numbers).hex


def _same_channels(maps: list[np.ndarray]) -> np.ndarray:
    """Stack (1 or 3, h, w) maps: shards of grey and of coloured maps meet in a batch."""
    if len({m.shape[0] for m in maps}) == 1:
        return np.stack(maps)
    return stack_controls([m[0] if m.shape[0] == 1 else m.transpose(1, 2, 0) for m in maps])


def _read_index(path: Path, manifest: Manifest) -> list[np.ndarray]:
    """Number, variant, place, shard and row, each (rows,). Raises DatasetError for rows that are in no shard."""
    tensors = load_tensors(path, manifest.index)
    columns = [tensors.get(name) for name in ("number", "variant", "place", "shard", "row")]
    index = [column.numpy() for column in columns if column is not None and column.dtype in _WHOLE]
    if len(index) < len(columns) or len({column.shape for column in index}) > 1 or index[0].ndim != 1:
        raise damaged(path, "it has not the five columns of whole numbers that tell where each sample lies")
    number, variant, place, shard, row = index
    rows = np.array([record.rows for record in manifest.shards], np.int64)
    ends = ((number, None), (variant, manifest.variants), (place, None), (shard, len(rows)))
    whole = all((column >= 0).all() and (end is None or (column < end).all()) for column, end in ends)
    if not (whole and (row >= 0).all() and (row < rows[shard]).all()):
        raise damaged(path, "it names rows that are not there")
    return index


def load_tensors(path: Path, written: Written | None = None) -> dict[str, torch.Tensor]:
    """A small file of a store, in memory; its checksum is compared with that of `written`.

    Raises DatasetError when it cannot be read, or is another file than was written.
    """
    try:
        if written is not None and file_digest(path) != written.checksum:
            raise damaged(path, "its checksum is not the one that was written")
        # Cloned, because what load_file gives may still lie in the file.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except DatasetError:
        raise
    except Exception as error:  # foreign types and odd headers fail in many ways
        raise damaged(path, str(error)) from error
