"""Line maps as hands would have drawn them.

A map of pure lines is taken apart into strokes along the middle of its lines, and drawn again with another pen: thin or
thick, with uneven pressure, shaking, strokes that stop short, break, run past their corners or are drawn twice. Where
its lines are soft (edge networks' maps), there are no strokes to find; the map itself is shaken and rubbed out here and
there. Either way the whole drawing may be turned, shifted and scaled by a few percent, no more: the picture that it
belongs to stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from armature.data.samples.line_strokes import strokes

# Widths and distances below are in pixels of a picture of this side; others scale with theirs.
_REFERENCE = 128
_SHIFT = 4
# A pen leaves the paper at corners sharper than this, in radians; strokes are bent at points so far from each other.
_CORNER, _STEP = 0.9, 4.0
# Below this share of its width, a line is too faint to be seen.
_FAINT = 0.45


@dataclass(frozen=True)
class Hand:
    """How one drawing is drawn; lengths in pixels of a drawing of 128 pixels.

    pen: width of the lines. pressure: how much the width varies along a stroke, as a share of it. shake: how far points
    stray. overshoot: how far strokes run past their ends. corners: share of sharp corners where the pen is lifted.
    short: share of strokes that stop short of their ends. breaks: share of strokes with a gap. double: share of strokes
    drawn twice. missing: share of short strokes left out. turn: radians. scale: of the whole. shift: (x, y).
    """

    pen: float
    pressure: float
    shake: float
    overshoot: float
    corners: float
    short: float
    breaks: float
    double: float
    missing: float
    turn: float
    scale: float
    shift: tuple[float, float]


def draw_hand(rng: np.random.Generator) -> Hand:
    """A random hand: every habit is there in some drawings only, so that most drawings have two or three."""
    has = rng.random(7) < (0.5, 0.3, 0.4, 0.3, 0.25, 0.3, 0.5)
    r = rng.random(13)
    moved = bool(has[6])
    return Hand(
        # Half of all pens are thin ones, about a pixel wide.
        pen=(0.9 + 0.5 * r[0]) if r[1] < 0.5 else (1.4 + 1.8 * r[0]),
        pressure=0.5 * r[2] if has[0] else 0.0,
        shake=0.15 + 0.85 * r[3] ** 1.5,
        overshoot=1.0 + 5.0 * r[4] if has[1] else 0.0,
        corners=0.8 if has[1] else 0.3 * r[5],
        short=0.35 * r[6] if has[2] else 0.0,
        breaks=0.4 * r[7] if has[3] else 0.0,
        double=0.3 + 0.7 * r[8] if has[4] else 0.0,
        missing=0.12 * r[9] if has[5] else 0.0,
        turn=(r[10] - 0.5) * 0.06 if moved else 0.0,
        scale=1 + (r[11] - 0.6) * 0.08 if moved else 1.0,
        shift=tuple((rng.random(2) - 0.5) * 5.0) if moved else (0.0, 0.0),
    )


def rough_lines(lines: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A hand's version of an exact line map, (h, w) uint8, white on black.

    A map of 0 and 255 alone stays one; soft strokes keep their grey levels.
    """
    hand = draw_hand(rng)
    if ((lines == 0) | (lines == 255)).all():
        return redraw(lines, hand, rng)
    return _shaken(lines, hand, rng)


def redraw(lines: np.ndarray, hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """A map of pure lines, (h, w) uint8 of 0 and 255, drawn again by a hand; the same form."""
    height, width = lines.shape
    unit = min(height, width) / _REFERENCE
    paths = strokes(lines, 0.7 * unit)
    if not paths:
        return np.zeros_like(lines)
    points, counts = _drawn(paths, hand, unit, rng)
    points = _strayed(points, counts, hand, (height, width), unit, rng)
    # Small drawings are made at twice their size, so that lines have widths between whole pixels too.
    fine = 2 if unit < 2 else 1
    paper = np.zeros((fine * height, fine * width), np.uint8)
    _pen(paper, points * fine + (fine - 1) / 2, counts, hand, fine * unit, rng)
    if fine > 1:
        paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_AREA)
    return np.where(paper >= 80, np.uint8(255), np.uint8(0))


def _drawn(paths: list[np.ndarray], hand: Hand, unit: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Strokes as the hand draws them: cut at corners, too long or too short, broken, twice or not at all.

    All points in a row, (n, 2), `_STEP` apart, and how many belong to each stroke.
    """
    corners, first, last = _sharpened(paths, unit)
    steps = np.diff(corners, axis=0)
    long = np.hypot(steps[:, 0], steps[:, 1])
    angle = np.arctan2(steps[:, 1], steps[:, 0])
    turn = np.abs((np.diff(angle) + np.pi) % (2 * np.pi) - np.pi)
    inside = np.ones(len(corners), bool)
    inside[first] = inside[last] = False
    cut = np.flatnonzero(inside[1:-1] & (turn > _CORNER) & (rng.random(len(turn)) < hand.corners)) + 1
    first, last = np.sort(np.concatenate([first, cut])), np.sort(np.concatenate([last, cut]))
    # One ruler along all strokes; those that do not hang together are a pixel apart on it.
    along = np.concatenate([[0.0], np.cumsum(long)])
    low, high = along[first], along[last]
    to_head, to_tail = _direction(corners[first] - corners[first + 1]), _direction(corners[last] - corners[last - 1])
    chance = rng.random((len(first), 8))
    length = high - low
    # A crumb makes no difference, and a drawing without its longest lines shows something else.
    kept = ~((chance[:, 0] < hand.missing) & (length > 6 * unit) & (length < 30 * unit))
    reach = np.minimum(hand.overshoot * unit, 0.3 * length)
    start, end = low - reach * chance[:, 1] ** 2, high + reach * chance[:, 2] ** 2
    less = np.where(chance[:, 3] < hand.short, np.minimum(0.3 * length, (1 + 5 * chance[:, 4]) * unit), 0)
    at_head = chance[:, 1] < chance[:, 2]
    start, end = np.where(at_head & (less > 0), low + less, start), np.where(~at_head & (less > 0), high - less, end)
    gap = low + length * (0.2 + 0.6 * chance[:, 6])
    half = (0.8 + 2.5 * chance[:, 4]) * unit
    broken = (chance[:, 5] < hand.breaks) & (length > 10 * unit)
    once = np.flatnonzero(kept)
    twice = np.flatnonzero(kept & (chance[:, 7] < hand.double))
    rest = np.flatnonzero(kept & broken)
    stroke = np.concatenate([once, rest, twice])
    start = np.concatenate([start[once], (gap + half)[rest], start[twice]])
    end = np.concatenate([np.where(broken, gap - half, end)[once], end[rest], end[twice]])
    count = np.maximum(2, np.rint((end - start) / (_STEP * unit)).astype(int) + 1)
    owner = np.repeat(np.arange(len(stroke)), count)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    at = start[owner] + (end - start)[owner] * place / (count - 1)[owner]
    stroke = stroke[owner]
    inner = np.clip(at, low[stroke], high[stroke])
    points = np.stack([np.interp(inner, along, corners[:, axis]) for axis in (0, 1)], 1)
    points += to_head[stroke] * np.maximum(low[stroke] - at, 0)[:, None]
    points += to_tail[stroke] * np.maximum(at - high[stroke], 0)[:, None]
    # What is drawn again runs beside the first line, not over it.
    beside = np.zeros((len(count), 2))
    beside[len(once) + len(rest) :] = rng.normal(size=(len(twice), 2)) * unit
    points += beside[owner]
    return points, count


def _sharpened(paths: list[np.ndarray], unit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All points of the paths in a row, and where each path begins and ends; corners that thinning cut off are back."""
    points = np.concatenate(paths).astype(np.float64)
    last = np.cumsum([len(path) for path in paths]) - 1
    first = np.concatenate([[0], last[:-1] + 1])
    long = np.hypot(*np.diff(points, axis=0).T)
    # A short step between two long ones, inside one path.
    short = np.zeros(len(long), bool)
    short[1:-1] = (long[1:-1] < 1.8 * unit) & (np.minimum(long[:-2], long[2:]) > 3 * unit)
    ends = np.zeros(len(points), bool)
    ends[first] = ends[last] = True
    short &= ~ends[:-1] & ~ends[1:]
    points[:-1][short] = (points[:-1][short] + points[1:][short]) / 2
    kept = np.concatenate([[True], ~short])
    number = np.cumsum(kept) - 1
    return points[kept], number[first], number[last]


def _direction(way: np.ndarray) -> np.ndarray:
    return way / np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-6)[:, None]


def _strayed(
    points: np.ndarray, counts: np.ndarray, hand: Hand, shape: tuple[int, int], unit: float, rng: np.random.Generator
) -> np.ndarray:
    """All points of all strokes, (n, 2), where the hand puts them instead."""
    height, width = shape
    # Neighbouring strokes stray together, a stroke strays as a whole, and its points stray a little by themselves.
    field = rng.normal(size=(10, 10, 2)).astype(np.float32)
    x = (points[:, 0] * (9 / width)).astype(np.float32)[None]
    y = (points[:, 1] * (9 / height)).astype(np.float32)[None]
    together = cv2.remap(field, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)[0]
    whole = np.repeat(rng.normal(size=(len(counts), 2)), counts, axis=0)
    single = rng.normal(size=points.shape)
    points = points + (1.2 * together + 0.45 * whole + 0.3 * single) * (hand.shake * unit)
    return (points - (width / 2, height / 2)) @ _turned(hand).T + (width / 2, height / 2) + np.array(hand.shift) * unit


def _turned(hand: Hand) -> np.ndarray:
    c, s = np.cos(hand.turn) * hand.scale, np.sin(hand.turn) * hand.scale
    return np.array([[c, -s], [s, c]])


def _pen(
    paper: np.ndarray, points: np.ndarray, counts: np.ndarray, hand: Hand, unit: float, rng: np.random.Generator
) -> None:
    """Draw strokes; with pressure, every stretch of them has a width of its own."""
    fixed = np.rint(points * (1 << _SHIFT)).astype(np.int32)
    ends = np.cumsum(counts)
    if not hand.pressure:
        each = [fixed[a:b] for a, b in zip((ends - counts).tolist(), ends.tolist(), strict=True)]
        cv2.polylines(paper, each, False, 255, int(_thickness(hand.pen * unit)), cv2.LINE_AA, _SHIFT)
        return
    pairs = np.stack([fixed[:-1], fixed[1:]], 1)
    # Pressure changes slowly: a walk that is much the same over a few stretches.
    knots = rng.normal(size=len(pairs) // 3 + 2)
    walk = np.interp(np.arange(len(pairs)) / 3, np.arange(len(knots)), knots)
    factor = 1 + hand.pressure * walk
    widths = np.where(factor < _FAINT, 0, _thickness(hand.pen * unit * factor))
    # What joins the end of a stroke to the start of the next one is not drawn.
    widths[ends[:-1] - 1] = 0
    for wide in np.unique(widths):
        if wide:
            cv2.polylines(paper, list(pairs[widths == wide]), False, 255, int(wide), cv2.LINE_AA, _SHIFT)


def _thickness(width: np.ndarray | float) -> np.ndarray:
    """OpenCV's thickness for lines so wide: measured, its thicknesses 1, 2, 4 and 6 are 1.6, 3.7, 5.8 and 7.9 wide."""
    step = np.rint((np.asarray(width) - 1.6) / 2.1).astype(int)
    return np.where(step > 0, 2 * step, 1)


def _shaken(lines: np.ndarray, hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """A map with soft lines, shaken, moved, widened and rubbed out in places."""
    height, width = lines.shape
    unit = min(height, width) / _REFERENCE
    shake = (rng.normal(size=(2, 10, 10)) * 1.2 * hand.shake * unit).astype(np.float32)
    dx, dy = (cv2.resize(s, (width, height), interpolation=cv2.INTER_CUBIC) for s in shake)
    middle = np.array([width / 2, height / 2])
    back = np.linalg.inv(_turned(hand))
    offset = middle - back @ (middle + np.array(hand.shift) * unit)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x = columns * back[0, 0] + rows * back[0, 1] + offset[0] + dx
    y = columns * back[1, 0] + rows * back[1, 1] + offset[1] + dy
    rough = cv2.remap(lines, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    side = round(hand.pen * unit)
    if side > 1:
        rough = cv2.dilate(rough, np.ones((side, side), np.uint8))
    for _ in range(rng.integers(0, 5) if hand.breaks else 0):
        x0, y0 = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.circle(rough, (x0, y0), max(1, round(int(rng.integers(2, 8)) * unit)), 0, -1)
    return np.asarray(rough, np.uint8)
