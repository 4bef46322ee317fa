"""Curves as pictures, drawn by matplotlib without a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

import numpy as np
from PIL import Image

from armature.errors import ArmatureError

Points = Sequence[tuple[float, float]]

SIZE = (960, 480)
_DOTS_PER_INCH = 96
# Told apart with every common kind of colour blindness (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5a5a5a")
# A curve of more points is noise to the eye: it is drawn faintly, with its running mean over it.
_NOISY = 60


def can_draw() -> bool:
    """Whether matplotlib is installed; it belongs to the extra `train`."""
    return find_spec("matplotlib") is not None


def draw_curves(title: str, series: Mapping[str, Points], *, across: str = "step") -> Image.Image:
    """Named curves over one another with axes, grid and legend; SIZE pixels, mode "RGB".

    series: (x, y) points by name, x ascending, all finite; a single point is a dot. across: what x counts.
    Raises ArmatureError when there is no point, and when matplotlib is not installed.
    """
    if not any(series.values()):
        raise ArmatureError(f"There is nothing to draw for {title!r}; give at least one point.")
    if not can_draw():
        raise ArmatureError("Curves are drawn by matplotlib, which is not installed: pip install matplotlib.")
    # Drawn on a figure of its own: pyplot would keep it, and look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    inches = (SIZE[0] / _DOTS_PER_INCH, SIZE[1] / _DOTS_PER_INCH)
    figure = Figure(figsize=inches, dpi=_DOTS_PER_INCH, layout="constrained")
    canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
    for index, (name, points) in enumerate(series.items()):
        colour, (x, y) = COLOURS[index % len(COLOURS)], np.array(points, float).reshape(-1, 2).T
        if len(x) > _NOISY:
            axes.plot(x, y, color=colour, alpha=0.3, linewidth=0.8)
            y = running_mean(y, len(x) // 20)
        axes.plot(x, y, color=colour, label=name, linewidth=1.8, marker="o" if len(x) == 1 else "")
    axes.set_title(title, loc="left")
    axes.set_xlabel(across)
    axes.grid(alpha=0.4)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def running_mean(values: Sequence[float] | np.ndarray, reach: int) -> np.ndarray:
    """The mean of every value and its neighbours up to `reach` away on both sides, as many as there are."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)
