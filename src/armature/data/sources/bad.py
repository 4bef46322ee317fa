"""Samples that cannot be used: named, counted, skipped, and a stop when there are too many of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from armature.errors import DatasetError

Sort = Literal["picture", "caption", "condition"]

_SHOWN = 10


@dataclass(frozen=True)
class Problem:
    """Why a sample is bad: which part of it, and a sentence for its owner."""

    sort: Sort
    reason: str


class BadSampleError(DatasetError):
    """One sample that cannot be used. Training goes on without it; any other DatasetError stops."""

    def __init__(self, key: str, problem: Problem) -> None:
        super().__init__(f"Sample {key!r}: {problem.reason}")
        self.key = key
        self.problem = problem


class BadSamples:
    """The bad samples of a data set met so far, by key; safe to use from several threads.

    name: of the data set, for messages. strict: stop at the first one. share: stop above this share of all samples.
    """

    def __init__(self, name: str, *, strict: bool, share: float) -> None:
        self._name, self._strict, self._share = name, strict, share
        self._found: dict[str, Problem] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._found)

    @property
    def found(self) -> Mapping[str, Problem]:
        """Every bad sample with its problem, in the order of their discovery."""
        with self._lock:
            return dict(self._found)

    @property
    def counts(self) -> Mapping[Sort, int]:
        """How many are bad for which part of them."""
        return Counter(problem.sort for problem in self.found.values())

    def add(self, key: str, problem: Problem, total: int | None = None) -> None:
        """Count a bad sample; the same one again changes nothing.

        total: samples in the whole data set; None leaves the share unchecked (it is not known yet).
        Raises DatasetError when it is one too many, or the first one under strict.
        """
        with self._lock:
            self._found.setdefault(key, problem)
        if self._strict:
            raise DatasetError(
                f"data.strict is set, and sample {key!r} of {self._name} is bad: {problem.reason} "
                "Mend or remove it, or leave strict out to skip bad samples."
            )
        if total is not None:
            self.check(total)

    def check(self, total: int) -> None:
        """Raises DatasetError, with the list, when more than the allowed share of `total` samples is bad."""
        count = len(self._found)
        if count > self._share * total:
            raise DatasetError(
                f"{count} of {total} samples of {self._name} are bad, more than data.bad_share = {self._share:g} "
                f"allows:\n{self.listed()}\nMend or remove them, or raise data.bad_share."
            )

    def listed(self) -> str:
        """The first bad samples with their reasons, one a line, and how many more there are; "" without any."""
        found = list(self.found.items())
        lines = [f"  {key}: {problem.reason}" for key, problem in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"  and {len(found) - _SHOWN} more")
        return "\n".join(lines)
