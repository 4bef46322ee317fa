"""A look through a source before anything is trained on it: which samples can be used, and what does not look right."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from armature.conditions.contract import WHITE_ON_BLACK, InputContract
from armature.conditions.kinds import find_kind
from armature.data.samples.condition import folder_is_dark_on_light
from armature.data.settings import Flip
from armature.data.sources.source import BadSampleError, Problem, Sort, Source
from armature.errors import ConditionError, DatasetError

_SHOWN = 10
_READERS = 8
_AT_ONCE = 512
_MAPS = 12
_WORDS: dict[Sort, str] = {
    "picture": "picture missing, unreadable or too large",
    "caption": "caption missing, empty or unreadable",
    "condition": "condition map missing or unusable",
}


class BadSamples:
    """The bad samples of a data set met so far, by key; safe to use from several threads.

    name: of the data set, for messages. strict: stop at the first one. share: stop above this share of all samples.
    """

    def __init__(self, name: str, *, strict: bool, share: float) -> None:
        self._name, self._strict, self._share = name, strict, share
        self._bad: dict[str, Problem] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._bad)

    @property
    def by_key(self) -> Mapping[str, Problem]:
        """Every bad sample with its problem, in the order of their discovery."""
        with self._lock:
            return dict(self._bad)

    @property
    def counts(self) -> Mapping[Sort, int]:
        """How many are bad for which part of them."""
        return Counter(problem.sort for problem in self.by_key.values())

    def add(self, key: str, problem: Problem, total: int | None = None) -> None:
        """Count a bad sample; the same one again changes nothing.

        total: samples in the whole data set; None leaves the share unchecked (it is not known yet).
        Raises DatasetError when it is one too many, or the first one under strict.
        """
        with self._lock:
            self._bad.setdefault(key, problem)
        if self._strict:
            raise DatasetError(
                f"data.strict is set, and sample {key!r} of {self._name} is bad: {problem.reason} "
                "Mend or remove it, or leave strict out to skip bad samples."
            )
        if total is not None:
            self.check(total)

    def check(self, total: int) -> None:
        """Raises DatasetError, with the list, when more than the allowed share of `total` samples is bad."""
        count = len(self._bad)
        if count > self._share * total:
            raise DatasetError(
                f"{count} of {total} samples of {self._name} are bad, more than data.bad_share = {self._share:g} "
                f"allows:\n{self.listed()}\nMend or remove them, or raise data.bad_share."
            )

    def listed(self) -> str:
        """The first bad samples with their reasons, one a line, and how many more there are; "" without any."""
        bad = list(self.by_key.items())
        lines = [f"  {key}: {problem.reason}" for key, problem in bad[:_SHOWN]]
        if len(bad) > _SHOWN:
            lines.append(f"  and {len(bad) - _SHOWN} more")
        return "\n".join(lines)


@dataclass(frozen=True)
class Scan:
    """usable: numbers of the samples that can be used, ascending. sizes: (width, height) of each one's picture.

    looked_at: samples that were seen, bad ones included.
    """

    usable: Sequence[int]
    sizes: Mapping[int, tuple[int, int]]
    looked_at: int


def scan(source: Source, count: int | None, bad: BadSamples) -> Scan:
    """Look at the samples in their order, without decoding, until `count` usable ones are there.

    Raises DatasetError when there are none, or too many of them are bad.
    """
    known = source.sizes()
    if known is not None:
        return Scan(range(len(source)), known, len(source))
    if not len(source):
        raise DatasetError(f"{source.name} holds no pictures; expected PNG, JPEG, WebP, BMP or TIFF with captions.")
    sizes: dict[int, tuple[int, int]] = {}
    looked_at = 0
    with ThreadPoolExecutor(_READERS) as readers:
        for start in range(0, len(source), _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, len(source)))
            for number, size in zip(numbers, readers.map(lambda n: _size_or_problem(source, n), numbers), strict=True):
                if len(sizes) == count:
                    break
                looked_at += 1
                if isinstance(size, Problem):
                    bad.add(source.key(number), size)
                else:
                    sizes[number] = size
            if len(sizes) == count:
                break
    bad.check(looked_at)
    if not sizes:
        raise DatasetError(f"{source.name} has no sample that can be used:\n{bad.listed()}")
    return Scan(list(sizes), sizes, looked_at)


def _size_or_problem(source: Source, number: int) -> tuple[int, int] | Problem:
    problem = source.problem(number)
    if problem is not None:
        return problem
    size = source.size(number)
    if size is not None:
        return size
    try:
        picture = source.read(number).picture
    except BadSampleError as error:
        return error.problem
    return (picture.shape[1], picture.shape[0])


def check_maps(source: Source, usable: Sequence[int], kind: str, contract: InputContract, flip: Flip) -> bool:
    """Whether ready line maps are dark on light, from a look at some of them.

    Raises DatasetError when they do not agree, and for flips of maps whose sides cannot be told apart.
    """
    lines = contract.polarity == WHITE_ON_BLACK
    mirror = find_kind(kind).mirror if flip != "never" else None
    if not (lines or mirror):
        return False
    maps = []
    for index in spread(usable, _MAPS):
        try:
            pixels = source.foreign_map(index)
        except BadSampleError:
            continue  # named when it is loaded
        if pixels is not None:
            maps.append(pixels)
    if lines:
        return bool(maps) and folder_is_dark_on_light(maps)
    for pixels in maps:
        if mirror is not None and pixels.ndim == 3:
            try:
                mirror(pixels)
            except ConditionError as error:
                raise DatasetError(f"data.conditions of {source.name}: {error}") from error
    return False


def spread(numbers: Sequence[int], count: int) -> list[int]:
    """At most `count` of the numbers, evenly over all of them."""
    few = min(count, len(numbers))
    return [numbers[place * len(numbers) // few] for place in range(few)]


@dataclass(frozen=True)
class DataReport:
    """name: of the data. samples: looked at. training, held_out: usable ones, by what they are for.

    buckets: (width, height) and the number of training samples in it, from the tallest to the widest.
    small: usable samples smaller than their bucket, which are enlarged; smallest: the key and size of the worst.
    bad: those that were left out, with why. notes: what does not look right in some samples that were tried.
    """

    name: str
    samples: int
    training: int
    held_out: int
    buckets: tuple[tuple[tuple[int, int], int], ...]
    small: int
    smallest: tuple[str, tuple[int, int]] | None
    bad: tuple[tuple[str, Problem], ...]
    notes: tuple[str, ...]

    def bad_of(self, sort: Sort) -> int:
        """How many are bad for this part of them; missing pairs are "condition", empty captions "caption"."""
        return sum(problem.sort == sort for _, problem in self.bad)

    def lines(self, shown: int = 10) -> list[str]:
        """The report as lines of text, the first `shown` bad samples by name."""
        text = [
            f"{self.name}: {self.samples} samples, {self.training} to train on, {self.held_out} held out, "
            f"{len(self.bad)} bad"
        ]
        text += [f"  {width} x {height} px: {count} samples" for (width, height), count in self.buckets]
        if self.small and self.smallest is not None:
            key, (width, height) = self.smallest
            text.append(
                f"  {self.small} samples are smaller than their bucket and are enlarged (such as {key}, {width} x "
                f"{height} px); take a smaller data.resolution, or remove them"
            )
        text += [f"  {count} bad: {words}" for sort, words in _WORDS.items() if (count := self.bad_of(sort))]
        text += [f"    {key}: {problem.reason}" for key, problem in self.bad[:shown]]
        if len(self.bad) > shown:
            text.append(f"    and {len(self.bad) - shown} more")
        return text + [f"  note: {note}" for note in self.notes]
