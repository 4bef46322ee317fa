"""Batches for training: from a cache, or encoded as they are needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np
import torch

from armature.bases.text import TextStates
from armature.conditions.contract import InputContract
from armature.data.cache.cache import Cache
from armature.data.encoding.batch import EncodedBatch, StoredBatch, float_states
from armature.data.loader.sampler import Cut, Draw, Order
from armature.data.prefetch import Prefetch

Job = TypeVar("Job")
Result = TypeVar("Result")


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


class OrderedBatches(ABC):
    """What both kinds of batches share: the order, the threads that prepare ahead, and their end.

    Batches lie on `device`, all numbers in float32. notes: what is odd about the data, as sentences.
    """

    def __init__(self, order: Order, contract: InputContract, device: torch.device, workers: int) -> None:
        if device.type == "cuda" and device.index is None:
            # The threads have no current GPU of their own to go by.
            device = torch.device("cuda", torch.cuda.current_device())
        self._order, self._contract, self._device, self._workers = order, contract, device, workers
        self._running: set[Prefetch] = set()

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence on everything odd about the data."""
        return self._order.notes

    @property
    @abstractmethod
    def empty(self) -> TextStates:
        """The states of the empty caption, n = 1."""

    def steps_per_epoch(self) -> int:
        """Optimizer steps that pass over the training samples once; what is left over of a bucket is dropped then."""
        return self._order.steps_per_epoch

    @abstractmethod
    def stream(self, start: int) -> Iterator[EncodedBatch]:
        """This process's micro-batches from optimizer step `start` on, endlessly."""

    @abstractmethod
    def held_out(self) -> Iterator[EncodedBatch]:
        """All held-out samples once, in a fixed order; a position is the sample's place in `Frames.held_out`."""

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


class CachedBatches(OrderedBatches):
    """Batches read from a cache. Implements `Batches`."""

    def __init__(
        self,
        cache: Cache,
        contract: InputContract,
        cut: Cut,
        *,
        seed: int,
        workers: int = 2,
        device: torch.device | str = "cpu",
    ) -> None:
        order = Order(cache.training(), cut, seed, cache.variants)
        super().__init__(order, contract, torch.device(device), workers)
        self._cache, self._batch = cache, cut.batch
        self._empty = float_states(cache.empty, self._device)

    @property
    def empty(self) -> TextStates:
        """The states of the empty caption, n = 1."""
        return self._empty

    def stream(self, start: int) -> Iterator[EncodedBatch]:
        """This process's micro-batches from optimizer step `start` on, endlessly.

        Raises DatasetError, which names the file, for a damaged shard.
        """
        for stored in self._ahead(self._order.draws(start), self._drawn):
            yield stored.encoded(self._contract, self._device)

    def held_out(self) -> Iterator[EncodedBatch]:
        """All held-out samples once, bucket by bucket, in batches of at most the batch size."""
        parts = [
            entries[first : first + self._batch]
            for entries in self._cache.held_out().values()
            for first in range(0, len(entries), self._batch)
        ]
        for stored in self._ahead(parts, lambda entries: self._read(entries, self._cache.places(entries))):
            yield stored.encoded(self._contract, self._device)

    def _drawn(self, draw: Draw) -> StoredBatch:
        return self._read(self._cache.entries(draw.numbers, draw.variants), draw.positions)

    def _read(self, entries: np.ndarray, positions: np.ndarray) -> StoredBatch:
        return self._cache.read(entries, positions).pinned(self._device)
