"""Batches for training: read from a cache, or loaded and encoded as they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from armature.bases.text import TextStates
from armature.conditions.contract import InputContract
from armature.data.cache.cache import Cache
from armature.data.encoding.batch import EncodedBatch, float_states, stack_controls, time_ids_of
from armature.data.encoding.encoder import Encoder
from armature.data.loader.sampler import BucketBatchSampler, MicroBatch, StepLayout, scrambled
from armature.data.prefetch import Prefetch
from armature.data.samples.sample import CroppedSample, CroppedSamples, Failure, Report, ReportOnce, by_bucket, try_load
from armature.errors import DatasetError

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs and what is done with each -> the results in the jobs' order.
_Ahead = Callable[[Iterable[Any], Callable[[Any], Any]], Iterator[Any]]

_REPLACE = 4
# Replacements tried for a bad sample before the data is held to be unusable.
_ATTEMPTS = 32
_CAPTIONS_KEPT = 512


class Batches(Protocol):
    """Encoded batches, from a cache or made as they are needed.

    A step learns from accumulate x world x batch samples of one bucket, cut into `accumulate` micro-batches, each cut
    into one slice a process; so one process with twice the batch, or with twice the accumulation, sees the same
    samples in the same order as two processes.
    """

    @property
    def empty(self) -> TextStates:
        """The states of the empty caption, n = 1."""
        ...

    def steps_per_epoch(self) -> int:
        """Optimizer steps that pass over the training samples once; what is left over of a bucket is dropped then."""
        ...

    def stream(self, start: int) -> Iterator[EncodedBatch]:
        """This process's micro-batches from optimizer step `start` on, endlessly; `start` = 7 begins exactly where a
        stream from 0 would be after 7 steps.
        """
        ...

    def held_out(self) -> Iterator[EncodedBatch]:
        """All held-out samples once, in a fixed order, in batches of at most the batch size; same in every process."""
        ...

    def close(self) -> None:
        """Stop threads that prepare ahead."""
        ...


class _Reader(Protocol):
    """Where batches come from, in the numbers in which they are stored; see EncodedBatch.

    buckets: numbers of the training samples by bucket. variants: of each; None for a new one each time.
    empty: the states of the empty caption. ahead: does jobs in threads, and gives the results in order.
    """

    buckets: dict[tuple[int, int], np.ndarray]
    variants: int | None
    empty: TextStates

    def training(self, chosen: Iterable[MicroBatch], ahead: _Ahead) -> Iterator[EncodedBatch]:
        """The batches of these samples."""
        ...

    def held_out(self, batch: int, ahead: _Ahead) -> Iterator[EncodedBatch]:
        """All held-out samples, at most `batch` together."""
        ...


class BatchLoader:
    """Batches in the order of a seed, prepared ahead by threads. Implements `Batches`.

    Batches lie on `device`, all numbers in float32. notes: what is odd about the data, as sentences.
    """

    def __init__(
        self,
        reader: _Reader,
        contract: InputContract,
        layout: StepLayout,
        *,
        seed: int,
        workers: int,
        device: torch.device,
    ) -> None:
        self._reader, self._contract, self._batch = reader, contract, layout.batch
        self._device, self._workers = device, workers
        self._sampler = BucketBatchSampler(reader.buckets, layout, seed, reader.variants)
        self._empty = float_states(reader.empty, device)
        self._running: set[Prefetch] = set()

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence on everything odd about the data."""
        return self._sampler.notes

    @property
    def empty(self) -> TextStates:
        """The states of the empty caption, n = 1."""
        return self._empty

    def steps_per_epoch(self) -> int:
        """Optimizer steps that pass over the training samples once; what is left over of a bucket is dropped then."""
        return self._sampler.steps_per_epoch

    def stream(self, start: int) -> Iterator[EncodedBatch]:
        """This process's micro-batches from optimizer step `start` on, endlessly.

        Raises DatasetError, which names the file, for a damaged shard, and when a bucket has hardly a usable sample.
        """
        for stored in self._reader.training(self._sampler.micro_batches(start), self._ahead):
            yield stored.ready(self._contract, self._device)

    def held_out(self) -> Iterator[EncodedBatch]:
        """All usable held-out samples once, bucket by bucket, in batches of at most the batch size, in a fixed order;
        a position is the sample's place in `CroppedSamples.held_out`.
        """
        for stored in self._reader.held_out(self._batch, self._ahead):
            yield stored.ready(self._contract, self._device)

    def close(self) -> None:
        """Stop the threads that prepare ahead; streams that are still open end."""
        while self._running:
            self._running.pop().close()

    def _ahead(self, jobs: Iterable[Job], work: Callable[[Job], Result]) -> Iterator[Result]:
        ahead = Prefetch(jobs, work, workers=self._workers)
        self._running.add(ahead)
        try:
            yield from ahead
        finally:
            ahead.close()
            self._running.discard(ahead)


def cached_batches(
    cache: Cache,
    contract: InputContract,
    layout: StepLayout,
    *,
    seed: int = 0,
    workers: int = 2,
    device: torch.device | str = "cpu",
) -> BatchLoader:
    """Batches of one process, read from a cache.

    contract: the adapter's; decides channels and range of the control. workers: threads that read ahead; their number
    never changes the order. Raises DatasetError when there is nothing to learn from.
    """
    device = torch.device(device)
    if device.type == "cuda" and device.index is None:
        # The threads have no current GPU of their own to go by.
        device = torch.device("cuda", torch.cuda.current_device())
    return BatchLoader(_CacheReader(cache, device), contract, layout, seed=seed, workers=workers, device=device)


def online_batches(
    samples: CroppedSamples,
    encoder: Encoder,
    contract: InputContract,
    layout: StepLayout,
    *,
    seed: int = 0,
    workers: int = 2,
    variants: int | None = None,
    report: Report | None = None,
) -> BatchLoader:
    """Batches of one process, cropped by threads and encoded in the caller, on the encoder's device, without a cache.

    variants: how many crops of a sample take turns; None makes a new one each time. report: is told once of a bad
    sample; another one of its bucket, which depends on seed and position alone, takes its place. The rest as in
    `cached_batches`.
    """
    reader = _OnlineReader(samples, encoder, seed, variants, ReportOnce(report))
    return BatchLoader(reader, contract, layout, seed=seed, workers=workers, device=encoder.device)


class _CacheReader:
    """A `_Reader` of a cache."""

    def __init__(self, cache: Cache, device: torch.device) -> None:
        self._cache, self._device = cache, device
        self.buckets, self.empty = cache.training(), cache.empty
        self.variants: int | None = cache.variants

    def training(self, chosen: Iterable[MicroBatch], ahead: _Ahead) -> Iterator[EncodedBatch]:
        drawn = ((self._cache.entries(batch.numbers, batch.variants), batch.positions) for batch in chosen)
        return ahead(drawn, lambda job: self._read(*job))

    def held_out(self, batch: int, ahead: _Ahead) -> Iterator[EncodedBatch]:
        groups = (
            entries[first : first + batch]
            for entries in self._cache.held_out().values()
            for first in range(0, len(entries), batch)
        )
        return ahead(groups, lambda entries: self._read(entries, self._cache.places(entries)))

    def _read(self, entries: np.ndarray, positions: np.ndarray) -> EncodedBatch:
        return self._cache.read(entries, positions).pinned(self._device)


class _OnlineReader:
    """A `_Reader` that loads and encodes."""

    def __init__(
        self, samples: CroppedSamples, encoder: Encoder, seed: int, variants: int | None, report_once: ReportOnce
    ) -> None:
        numbers = np.fromiter(samples.training, np.int64, len(samples.training))
        places = by_bucket(samples, samples.training)
        self.buckets = {size: np.sort(numbers[at]) for size, at in places.items()}
        self.variants, self.empty = variants, encoder.empty()
        self._samples, self._encoder, self._seed, self._report_once = samples, encoder, seed, report_once
        self._states: OrderedDict[str, tuple[Tensor, Tensor | None]] = OrderedDict()

    def training(self, chosen: Iterable[MicroBatch], ahead: _Ahead) -> Iterator[EncodedBatch]:
        for samples, positions, failed in ahead(chosen, self._loaded):
            self._report_once(failed)
            yield self._encoded(samples, positions)

    def held_out(self, batch: int, ahead: _Ahead) -> Iterator[EncodedBatch]:
        numbers = self._samples.held_out
        for bucket, places in by_bucket(self._samples, numbers).items():

            def load(place: int, bucket: tuple[int, int] = bucket) -> tuple[int, CroppedSample | Failure]:
                return place, try_load(self._samples, numbers[place], 0, bucket)

            good: dict[int, CroppedSample] = {}
            for place, sample in ahead(places.tolist(), load):
                if isinstance(sample, Failure):
                    self._report_once([sample])
                    continue
                good[place] = sample
                if len(good) == batch:
                    yield self._encoded(list(good.values()), list(good))
                    good = {}
            if good:
                yield self._encoded(list(good.values()), list(good))

    def _loaded(self, batch: MicroBatch) -> tuple[list[CroppedSample], list[int], list[Failure]]:
        """The samples of a micro-batch with their positions, and those that failed on the way."""
        failed: list[Failure] = []
        positions = batch.positions.tolist()
        rows = zip(batch.numbers.tolist(), batch.variants.tolist(), positions, strict=True)
        return [self._load(*row, batch.bucket, failed) for row in rows], positions, failed

    def _load(
        self, number: int, variant: int, position: int, bucket: tuple[int, int], failed: list[Failure]
    ) -> CroppedSample:
        others = self.buckets[bucket]
        for attempt in range(_ATTEMPTS):
            sample = try_load(self._samples, number, variant, bucket)
            if not isinstance(sample, Failure):
                return sample
            failed.append(sample)
            number = int(others[scrambled(self._seed, _REPLACE, position, attempt)[0] % np.uint64(len(others))])
        raise DatasetError(
            f"{_ATTEMPTS} samples in a row of bucket {bucket[0]} x {bucket[1]} are bad; the last: "
            f"{failed[-1].key}: {failed[-1].problem.reason}"
        )

    def _encoded(self, samples: Sequence[CroppedSample], positions: Sequence[int]) -> EncodedBatch:
        mean, std = self._encoder.pictures(np.stack([sample.pixels for sample in samples]))
        return EncodedBatch(
            keys=[sample.key for sample in samples],
            positions=torch.tensor(positions, dtype=torch.int64),
            mean=mean,
            std=std,
            text=self._texts([sample.caption for sample in samples]),
            control=torch.from_numpy(stack_controls([sample.control for sample in samples])),
            time_ids=time_ids_of(samples) if self._encoder.family.sizes else None,
        )

    def _texts(self, captions: Sequence[str]) -> TextStates:
        """The text states of captions; those that come again soon are kept."""
        if new := [caption for caption in dict.fromkeys(captions) if caption not in self._states]:
            states = self._encoder.texts(new)
            for row, caption in enumerate(new):
                self._states[caption] = (states.states[row], None if states.pooled is None else states.pooled[row])
        rows = [self._states[caption] for caption in captions]
        for caption in captions:
            self._states.move_to_end(caption)
        while len(self._states) > max(_CAPTIONS_KEPT, len(captions)):
            self._states.popitem(last=False)
        pooled = [p for _, p in rows if p is not None]
        return TextStates(torch.stack([s for s, _ in rows]), torch.stack(pooled) if pooled else None)
