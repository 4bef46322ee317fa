"""Curves as pictures, drawn without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from armature.errors import ArmatureError

Points = Sequence[tuple[float, float]]

SIZE = (960, 480)
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 30, 34, 44
_LEGEND = 20
_INK, _GRID, _PAPER = (40, 40, 40), (222, 222, 222), (255, 255, 255)
# Told apart with every common kind of colour blindness (Okabe and Ito 2008).
_COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (90, 90, 90))
# A curve of more points is noise to the eye: it is drawn faintly, with its running mean over it.
_NOISY = 60


def draw_curves(title: str, series: Mapping[str, Points], *, across: str = "step") -> Image.Image:
    """Named curves over one another with axes, grid and legend; SIZE pixels, mode "RGB".

    series: (x, y) points by name, x ascending, all finite; a single point is a dot. across: what x counts.
    Raises ArmatureError when there is no point.
    """
    points = [point for curve in series.values() for point in curve]
    if not points:
        raise ArmatureError(f"There is nothing to draw for {title!r}; give at least one point.")
    xs, ys = _ticks([x for x, _ in points]), _ticks([y for _, y in points])
    image = Image.new("RGB", SIZE, _PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    place = _Place(xs, ys, _TOP + _LEGEND * (1 + (len(series) - 1) // 4))
    _axes(pen, font, place, across)
    pen.text((_LEFT, 10), title, _INK, ImageFont.load_default(16))
    for index, (name, curve) in enumerate(series.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        _curve(pen, place, curve, colour)
        corner = (_LEFT + (index % 4) * 210, _TOP + _LEGEND * (index // 4) + 2)
        pen.line((corner[0], corner[1] + 8, corner[0] + 20, corner[1] + 8), colour, 3)
        pen.text((corner[0] + 26, corner[1]), name, _INK, font)
    return image


class _Place:
    """Where a value lies on the picture."""

    def __init__(self, xs: list[float], ys: list[float], top: int) -> None:
        self.xs, self.ys, self.top = xs, ys, top
        self.bottom, self.right = SIZE[1] - _BOTTOM, SIZE[0] - _RIGHT

    def x(self, value: float) -> float:
        return _LEFT + (value - self.xs[0]) / (self.xs[-1] - self.xs[0]) * (self.right - _LEFT)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.ys[0]) / (self.ys[-1] - self.ys[0]) * (self.bottom - self.top)


def _axes(
    pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, place: _Place, across: str
) -> None:
    for value in place.xs:
        pen.line((place.x(value), place.top, place.x(value), place.bottom), _GRID)
        pen.text((place.x(value), place.bottom + 6), _number(value), _INK, font, anchor="ma")
    for value in place.ys:
        pen.line((_LEFT, place.y(value), place.right, place.y(value)), _GRID)
        pen.text((_LEFT - 8, place.y(value)), _number(value), _INK, font, anchor="rm")
    pen.line((_LEFT, place.bottom, place.right, place.bottom), _INK)
    pen.text((place.right, SIZE[1] - 20), across, _INK, font, anchor="ra")


def _curve(pen: ImageDraw.ImageDraw, place: _Place, curve: Points, colour: tuple[int, int, int]) -> None:
    if not curve:
        return
    spots = [(place.x(x), place.y(y)) for x, y in curve]
    if len(spots) == 1:
        x, y = spots[0]
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), colour)
        return
    if len(spots) > _NOISY:
        red, green, blue = (255 - (255 - part) // 3 for part in colour)
        pen.line(spots, (red, green, blue), 1)
        mean = running_mean([y for _, y in spots], len(spots) // 20)
        spots = [(x, y) for (x, _), y in zip(spots, mean, strict=True)]
    pen.line(spots, colour, 2, joint="curve")


def running_mean(values: Sequence[float], reach: int) -> list[float]:
    """The mean of every value and its neighbours up to `reach` away on both sides, as many as there are."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values))
    return ((sums[high] - sums[low]) / (high - low)).tolist()


def _ticks(values: Sequence[float], wanted: int = 6) -> list[float]:
    """Round numbers around the values, from below the least to above the greatest."""
    low, high = min(values), max(values)
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = low - max(0.5, abs(low) / 2), high + max(0.5, abs(high) / 2)
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * count for count in range(first, max(last, first + 1) + 1)]


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}"
