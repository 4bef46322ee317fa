"""Framing a sample, with a bad one as a value instead of an exception, so that the others keep their places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from armature.data.bad import BadSampleError, Problem
from armature.data.sample import Framed, Frames

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
    try:
        framed = frames.frame(number, variant)
    except BadSampleError as error:
        return Failure(number, variant, error.key, error.problem)
    wanted = (bucket[1], bucket[0])
    sizes = {framed.pixels.shape[:2], framed.control.shape[:2]}
    if sizes == {wanted}:
        return framed
    reason = f"Its frame has (height, width) {sorted(sizes)}, and {wanted} was expected; the file changed meanwhile."
    return Failure(number, variant, framed.key, Problem("picture", reason))


class Once:
    """Passes every bad sample on to a report once, however many variants and epochs meet it."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._seen: set[str] = set()

    def tell(self, failure: Failure) -> None:
        """Pass it on, unless its sample was passed on before."""
        if failure.key not in self._seen:
            self._seen.add(failure.key)
            if self._report is not None:
                self._report(failure.key, failure.problem)
