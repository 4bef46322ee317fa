"""Batches that are framed and encoded while training goes on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from armature.bases.text import TextStates
from armature.conditions.contract import InputContract
from armature.data.encoding.batch import EncodedBatch, StoredBatch, float_states, stack_controls, time_ids_of
from armature.data.encoding.encoder import Encoder
from armature.data.loader.loader import OrderedBatches
from armature.data.loader.sampler import Cut, Draw, Order, scrambled
from armature.data.samples.attempt import Failure, Once, Report, try_frame
from armature.data.samples.sample import Framed, Frames, by_bucket
from armature.errors import DatasetError

_REPLACE = 4
# Replacements tried for a bad sample before the data is held to be unusable.
_ATTEMPTS = 32
_CAPTIONS_KEPT = 512


@dataclass(frozen=True, eq=False)
class _Read:
    """Framed samples of one bucket with their positions, and those that failed on the way."""

    framed: list[Framed]
    positions: list[int]
    failed: list[Failure]


class OnlineBatches(OrderedBatches):
    """Batches framed by threads and encoded in the caller, without a cache. Implements `Batches`.

    variants: how many framings of a sample take turns; None makes a new one each time. A bad sample is handed to
    `report` once, and another sample of its bucket, which depends on seed and position alone, takes its place.
    """

    def __init__(
        self,
        frames: Frames,
        encoder: Encoder,
        contract: InputContract,
        cut: Cut,
        *,
        seed: int,
        workers: int = 2,
        variants: int | None = None,
        report: Report | None = None,
    ) -> None:
        numbers = np.fromiter(frames.training, np.int64, len(frames.training))
        buckets = {size: numbers[places] for size, places in by_bucket(frames, frames.training).items()}
        order = Order(buckets, cut, seed, variants)
        super().__init__(order, contract, encoder.device, workers)
        self._frames, self._encoder, self._batch, self._seed = frames, encoder, cut.batch, seed
        self._once = Once(report)
        self._states: OrderedDict[str, tuple[Tensor, Tensor | None]] = OrderedDict()
        self._empty = float_states(encoder.empty(), encoder.device)

    @property
    def empty(self) -> TextStates:
        """The states of the empty caption, n = 1."""
        return self._empty

    def stream(self, start: int) -> Iterator[EncodedBatch]:
        """This process's micro-batches from optimizer step `start` on, endlessly.

        Raises DatasetError when a bucket holds hardly any usable sample.
        """
        for read in self._ahead(self._order.draws(start), self._drawn):
            for failure in read.failed:
                self._once.tell(failure)
            yield self._encoded(read.framed, read.positions)

    def held_out(self) -> Iterator[EncodedBatch]:
        """All usable held-out samples once, bucket by bucket, in batches of at most the batch size."""
        numbers = self._frames.held_out
        for bucket, places in by_bucket(self._frames, numbers).items():

            def work(place: int, bucket: tuple[int, int] = bucket) -> tuple[int, Framed | Failure]:
                return place, try_frame(self._frames, numbers[place], 0, bucket)

            good: list[tuple[int, Framed]] = []
            for place, framed in self._ahead(places.tolist(), work):
                if isinstance(framed, Failure):
                    self._once.tell(framed)
                    continue
                good.append((place, framed))
                if len(good) == self._batch:
                    yield self._encoded([f for _, f in good], [p for p, _ in good])
                    good = []
            if good:
                yield self._encoded([f for _, f in good], [p for p, _ in good])

    def _drawn(self, draw: Draw) -> _Read:
        framed, failed = [], []
        rows = zip(draw.numbers.tolist(), draw.variants.tolist(), draw.positions.tolist(), strict=True)
        for number, variant, position in rows:
            framed.append(self._frame(number, variant, position, draw.bucket, failed))
        return _Read(framed, draw.positions.tolist(), failed)

    def _frame(
        self, number: int, variant: int, position: int, bucket: tuple[int, int], failed: list[Failure]
    ) -> Framed:
        others = self._order.buckets[bucket]
        for attempt in range(_ATTEMPTS):
            found = try_frame(self._frames, number, variant, bucket)
            if not isinstance(found, Failure):
                return found
            failed.append(found)
            number = int(others[scrambled(self._seed, _REPLACE, position, attempt)[0] % np.uint64(len(others))])
        raise DatasetError(
            f"{_ATTEMPTS} samples in a row of bucket {bucket[0]} x {bucket[1]} are bad; the last: "
            f"{failed[-1].key}: {failed[-1].problem.reason}"
        )

    def _encoded(self, framed: Sequence[Framed], positions: Sequence[int]) -> EncodedBatch:
        moments = torch.cat(self._encoder.pictures(np.stack([f.pixels for f in framed])), 1)
        time_ids = torch.from_numpy(time_ids_of(framed)) if self._encoder.family.sizes else None
        stored = StoredBatch(
            keys=[f.key for f in framed],
            positions=torch.tensor(positions, dtype=torch.int64),
            moments=moments,
            text=self._texts([f.caption for f in framed]),
            control=torch.from_numpy(stack_controls([f.control for f in framed])),
            time_ids=time_ids,
        )
        return stored.encoded(self._contract, self._device)

    def _texts(self, captions: Sequence[str]) -> TextStates:
        """The states of captions, remembered for those that come again soon."""
        if new := [c for c in dict.fromkeys(captions) if c not in self._states]:
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
