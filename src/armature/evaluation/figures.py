"""Means with their confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from armature.evaluation.fidelity import gap_closed


@dataclass(frozen=True)
class Figure:
    """A mean and its standard error, over `count` samples; all are finite."""

    mean: float
    error: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.error:.3f}"


def mean_figure(values: Sequence[float]) -> Figure:
    """The mean of independent values; a single one has no error that could be known, and 0 stands there."""
    array = np.asarray(values, float)
    error = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else 0.0
    return Figure(float(array.mean()), error, len(array))


def share_figure(hits: int, of: int) -> Figure:
    """A share of things counted, with its binomial error."""
    share = hits / max(1, of)
    return Figure(share, float(np.sqrt(share * (1 - share) / max(1, of))), of)


def gap_figure(without: Sequence[float], with_: Sequence[float], ceiling: Sequence[float]) -> Figure | None:
    """`gap_closed` of the means, three figures for each sample in one order; its error by the jackknife.

    None when the ceiling lies where nothing at all lies, with all samples or with one left out.
    """
    table = np.array([without, with_, ceiling], float)
    whole = gap_closed(*table.mean(1).tolist())
    count = table.shape[1]
    if whole is None or count < 2:
        return None if whole is None else Figure(whole, 0.0, count)
    parts = [gap_closed(*column) for column in ((table.sum(1, keepdims=True) - table) / (count - 1)).T.tolist()]
    if any(part is None for part in parts):
        return None
    spread = np.array(parts, float)
    error = np.sqrt((count - 1) / count * np.sum((spread - spread.mean()) ** 2))
    return Figure(whole, float(error), count)
