"""Comparing two maps of one size: depth, segmentation, colours."""

from __future__ import annotations

import numpy as np

from armature.errors import ConditionError

# Pixels further than this from every colour of the palette have no class: unlabelled black, above all.
_STRANGE = 24


def rmse(given: np.ndarray, found: np.ndarray) -> float:
    """Root mean squared difference in 0..1 of two (h, w) uint8 maps. ConditionError when the shapes differ."""
    a, b = _pair(given, found)
    return float(np.sqrt(np.mean((a - b) ** 2)))


def aligned_rmse(given: np.ndarray, found: np.ndarray) -> float:
    """`rmse` after the scale and shift of `found` that fit best; the scale is never negative: near stays near."""
    a, b = _pair(given, found)
    spread = float(np.var(b))
    slope = max(0.0, float(np.mean((a - a.mean()) * (b - b.mean()))) / spread) if spread > 0 else 0.0
    return float(np.sqrt(np.mean((a - a.mean() - slope * (b - b.mean())) ** 2)))


def colour_distance(given: np.ndarray, found: np.ndarray) -> float:
    """Mean distance of the colours of two (h, w, 3) uint8 maps, 0..1: 1 is black against white."""
    a, b = _pair(given, found)
    return float(np.sqrt(np.mean((a - b) ** 2, axis=2)).mean())


def mean_iou(given: np.ndarray, found: np.ndarray, colours: np.ndarray) -> float:
    """Mean intersection over union of the classes that the given map has, 0..1.

    given, found: (h, w, 3) uint8. colours: (classes, 3) uint8; a pixel has the class of the nearest colour, and none
    when no colour is near. What the given map leaves without a class is not asked for. Nothing asked scores 1.
    """
    _pair(given, found)
    a, b = class_numbers(given, colours), class_numbers(found, colours)
    asked = a >= 0
    shares = [
        ((a == label) & (b == label)).sum() / (asked & ((a == label) | (b == label))).sum()
        for label in np.unique(a[asked])
    ]
    return float(np.mean(shares)) if shares else 1.0


def class_numbers(painted: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Class of every pixel of a painted map, (h, w) int64; -1 where no colour of the palette is near."""
    height, width = painted.shape[:2]
    distinct, places = np.unique(painted.reshape(-1, 3), axis=0, return_inverse=True)
    table = np.empty(len(distinct), np.int64)
    # In pieces: a map that went through JPEG has tens of thousands of colours.
    for start in range(0, len(distinct), 4096):
        part = distinct[start : start + 4096].astype(np.int16)
        distance = np.abs(part[:, None] - colours[None].astype(np.int16)).max(axis=2)
        table[start : start + 4096] = np.where(distance.min(axis=1) <= _STRANGE, distance.argmin(axis=1), -1)
    return table[places.reshape(height, width)]


def _pair(given: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if given.shape != found.shape:
        raise ConditionError(f"Maps of shapes {given.shape} and {found.shape} cannot be compared; resize one.")
    return given.astype(np.float64) / 255, found.astype(np.float64) / 255
