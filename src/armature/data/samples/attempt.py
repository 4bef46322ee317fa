"""Framing a sample, with a bad one as a value instead of an exception, so that the others keep their places."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from armature.data.samples.sample import Framed, Frames, Picture
from armature.data.sources.bad import BadSampleError, Problem

Found = TypeVar("Found", bound=Picture)

# Is told the key of a bad sample and what is wrong with it; may raise to stop everything.
Report = Callable[[str, Problem], None]


@dataclass(frozen=True)
class Failure:
    """A sample that cannot be used: its number, variant and key, and why."""

    number: int
    variant: int
    key: str
    problem: Problem


def try_frame(frames: Frames, number: int, variant: int, bucket: tuple[int, int]) -> Framed | Failure:
    """The framed sample, or why there is none. bucket: (width, height) that its batch has.

    Raises every DatasetError of `Frames.frame` that is no BadSampleError: those must stop the training.
    """
    framed = _tried(frames.frame, number, variant)
    return framed if isinstance(framed, Failure) else _fitting(framed, number, variant, bucket, framed.control)


def try_picture(frames: Frames, number: int, variant: int, bucket: tuple[int, int]) -> Picture | Failure:
    """The framed picture of a sample, or why there is none; see `try_frame`."""
    picture = _tried(frames.picture, number, variant)
    return picture if isinstance(picture, Failure) else _fitting(picture, number, variant, bucket)


def _tried(make: Callable[[int, int], Found], number: int, variant: int) -> Found | Failure:
    try:
        return make(number, variant)
    except BadSampleError as error:
        return Failure(number, variant, error.key, error.problem)


def _fitting(picture: Found, number: int, variant: int, bucket: tuple[int, int], *maps: np.ndarray) -> Found | Failure:
    wanted = (bucket[1], bucket[0])
    sizes = {array.shape[:2] for array in (picture.pixels, *maps)}
    if sizes == {wanted}:
        return picture
    reason = f"Its frame has (height, width) {sorted(sizes)}, and {wanted} was expected; the file changed meanwhile."
    return Failure(number, variant, picture.key, Problem("picture", reason))


class Once:
    """Passes every bad sample on to a report once, however many variants and epochs meet it."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._seen: set[str] = set()

    def tell_all(self, failures: Iterable[Failure]) -> None:
        """`tell` each of them."""
        for failure in failures:
            self.tell(failure)

    def tell(self, failure: Failure) -> None:
        """Pass it on, unless its sample was passed on before."""
        if failure.key not in self._seen:
            self._seen.add(failure.key)
            if self._report is not None:
                self._report(failure.key, failure.problem)
