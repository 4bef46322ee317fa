"""Line maps taken apart: the middle of their lines as strokes from crossing to crossing."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np


def strokes(lines: np.ndarray, tolerance: float) -> list[np.ndarray]:
    """The middle of lines as polylines from crossing to crossing, (n, 2) float32 points (x, y) each; loops are closed.

    lines: (h, w) uint8, lines are not 0. tolerance: how far, in pixels, a polyline may leave the middle.
    """
    thin = _thinned(lines)
    code = cv2.filter2D(thin, -1, _neighbours(), borderType=cv2.BORDER_CONSTANT)
    crossing = np.bitwise_and(cv2.LUT(code, _tables()[2]), thin, dtype=np.uint8)
    rows, columns = np.nonzero(crossing)
    # Every pixel near a crossing knows it, so that strokes can be led back to where they met.
    number = np.zeros(lines.shape, np.int16)
    number[rows, columns] = np.arange(1, len(rows) + 1)
    reach = cv2.dilate(number, np.ones((5, 5), np.uint8))
    near = cv2.dilate(crossing, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) & thin
    cut = thin - near
    contours, tree = cv2.findContours(cut, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # The inner side of a loop is the same line again.
    outer = [c[:, 0] for c, t in zip(contours, tree[0].tolist() if tree is not None else (), strict=True) if t[3] < 0]
    found = _knots(near, rows, columns)
    for contour, turns in zip(outer, _turns(outer), strict=True):
        # A contour goes along a line and back again, and around a loop once.
        loop = turns is None and len(contour) > 3
        path = contour if turns is None else contour[turns[0] : turns[1] + 1]
        path = cv2.approxPolyDP(path, tolerance, loop)[:, 0].tolist()
        if loop:
            path.append(path[0])
        else:
            (x0, y0), (x1, y1) = path[0], path[-1]
            first, last = int(reach[y0, x0]), int(reach[y1, x1])
            path = [
                *([[columns[first - 1], rows[first - 1]]] if first else []),
                *path,
                *([[columns[last - 1], rows[last - 1]]] if last else []),
            ]
        if len(path) > 1:
            found.append(np.array(path, np.float32))
    return found


def _knots(near: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> list[np.ndarray]:
    """Lines between crossings that are next to each other, so that nothing is left of what joins them."""
    label = cv2.connectedComponents(near)[1][rows, columns]
    order = np.argsort(label, kind="stable")
    points = np.stack([columns, rows], 1).astype(np.float32)[order]
    joined = np.flatnonzero(np.diff(label[order]) == 0)
    return list(np.stack([points[joined], points[joined + 1]], 1)) if len(joined) else []


def _turns(contours: list[np.ndarray]) -> list[tuple[int, int] | None]:
    """Where each contour turns back on itself, at both ends of its line; None for loops and specks."""
    if not contours:
        return []
    lengths = np.array([len(contour) for contour in contours])
    starts = np.cumsum(lengths) - lengths
    points = np.concatenate(contours)
    before, after = np.arange(-1, len(points) - 1), np.arange(1, len(points) + 1)
    before[starts], after[starts + lengths - 1] = starts + lengths - 1, starts
    back = np.flatnonzero((points[before] == points[after]).all(1))
    first = np.searchsorted(back, starts).tolist()
    stop = np.searchsorted(back, starts + lengths).tolist()
    places = back.tolist()
    return [
        (places[a] - begin, places[a + 1] - begin) if b - a >= 2 and length > 2 else None
        for a, b, begin, length in zip(first, stop, starts.tolist(), lengths.tolist(), strict=True)
    ]


@cache
def _neighbours() -> np.ndarray:
    """Weights that number the eight neighbours, clockwise from above."""
    return np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.float32)


@cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every pattern of neighbours: whether either pass of a thinning removes the pixel, and whether lines cross."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    total = bits.sum(1)
    changes = ((bits == 0) & (np.roll(bits, -1, 1) == 1)).sum(1)
    up, right, down, left = bits[:, 0], bits[:, 2], bits[:, 4], bits[:, 6]
    removable = (total >= 2) & (total <= 6) & (changes == 1)
    first = removable & (up * right * down == 0) & (right * down * left == 0)
    second = removable & (up * right * left == 0) & (up * down * left == 0)
    return first.astype(np.uint8), second.astype(np.uint8), (changes >= 3).astype(np.uint8)


def _thinned(lines: np.ndarray) -> np.ndarray:
    """Lines one pixel wide, 0 and 1 (Zhang and Suen, A fast parallel algorithm for thinning digital patterns, 1984)."""
    thin = (lines > 0).astype(np.uint8)
    while True:
        before = cv2.countNonZero(thin)
        for table in _tables()[:2]:
            code = cv2.filter2D(thin, -1, _neighbours(), borderType=cv2.BORDER_CONSTANT)
            thin &= 1 - cv2.LUT(code, table)
        if cv2.countNonZero(thin) == before:
            return thin
