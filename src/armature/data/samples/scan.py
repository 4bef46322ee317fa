"""Going through a source once without decoding: which samples can be used, and how large their pictures are."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from armature.data.samples.draws import smallest_hashes
from armature.data.sources.bad import BadSampleError, BadSamples, Problem
from armature.data.sources.source import Source
from armature.data.sources.toyworld import ToyworldSource
from armature.errors import DatasetError

_READERS = 8
_AT_ONCE = 512


@dataclass(frozen=True)
class Scan:
    """usable: numbers of the samples that can be used, ascending. sizes: (width, height) of each one's picture.

    looked_at: samples that were seen, bad ones included.
    """

    usable: Sequence[int]
    sizes: dict[int, tuple[int, int]]
    looked_at: int


@dataclass(frozen=True)
class Split:
    """Numbers of the samples to train on and of those kept apart."""

    training: Sequence[int]
    held_out: Sequence[int]


def scan(source: Source, count: int | None, bad: BadSamples) -> Scan:
    """Look at the samples in their order, until `count` usable ones are found.

    Raises DatasetError when there are none, or too many of them are bad.
    """
    if isinstance(source, ToyworldSource):
        numbers = range(len(source))
        return Scan(numbers, dict.fromkeys(numbers, source.size(0)), len(source))
    if not len(source):
        raise DatasetError(f"{source.name} holds no pictures; expected PNG, JPEG, WebP, BMP or TIFF with captions.")
    usable: list[int] = []
    sizes: dict[int, tuple[int, int]] = {}
    looked_at = 0
    with ThreadPoolExecutor(_READERS) as readers:
        for start in range(0, len(source), _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, len(source)))
            for number, found in zip(numbers, readers.map(lambda n: _look(source, n), numbers), strict=True):
                if count is not None and len(usable) == count:
                    break
                looked_at += 1
                if isinstance(found, Problem):
                    bad.add(source.key(number), found)
                else:
                    usable.append(number)
                    sizes[number] = found
            if count is not None and len(usable) == count:
                break
    bad.check(looked_at)
    if not usable:
        raise DatasetError(f"{source.name} has no sample that can be used:\n{bad.listed()}")
    return Scan(usable, sizes, looked_at)


def _look(source: Source, number: int) -> tuple[int, int] | Problem:
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


def split(source: Source, usable: Sequence[int], held_out: int, seed: int) -> Split:
    """Keep exactly `held_out` of the usable samples apart, chosen by a hash of their keys and the seed.

    Raises DatasetError when nothing would be left to train on.
    """
    if isinstance(source, ToyworldSource):
        return Split(range(source.training), range(source.training, len(source)))
    if held_out >= len(usable):
        raise DatasetError(
            f"data.held_out = {held_out} of {len(usable)} usable samples of {source.name} leaves none to train on; "
            "take fewer, or add samples."
        )
    places = smallest_hashes([source.key(number) for number in usable], seed, held_out)
    apart = [usable[place] for place in places]
    chosen = set(apart)
    return Split([number for number in usable if number not in chosen], apart)
