"""Canny edges, as OpenCV computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option
from armature.conditions.kinds import contract_for
from armature.errors import ConditionError

if TYPE_CHECKING:
    from PIL import Image

# Thresholds follow the median only within these tones: a night scene's median of 3 would turn noise into edges,
# a snow scene's of 250 would leave none.
_DARKEST, _BRIGHTEST = 64, 160
_SPREAD = 1 / 3


def canny(picture: Image.Image, low: float | None, high: float | None, blur: float) -> Image.Image:
    """White edges on black, mode "L"; equal to cv2.Canny(picture, low, high) when blur is 0.

    A colour picture is given to OpenCV in colour, as the authors did: the strongest channel decides.
    low, high: gradient thresholds; both None takes them from the median tone.
    Raises ConditionError when only one threshold is given or low is above high.
    """
    import cv2
    import numpy as np
    from PIL import Image

    tones = np.asarray(picture)
    if (low is None) != (high is None):
        raise ConditionError(f"canny: low={low} and high={high}; give both thresholds, or neither for automatic ones.")
    if low is None or high is None:
        median = min(max(float(np.median(tones)), _DARKEST), _BRIGHTEST)
        low, high = (1 - _SPREAD) * median, (1 + _SPREAD) * median
    if low > high:
        raise ConditionError(f"canny: low={low:g} is above high={high:g}; swap them.")
    if blur > 0:
        tones = cv2.GaussianBlur(tones, (0, 0), blur)
    return Image.fromarray(cv2.Canny(tones, low, high))


EXTRACTOR = Extractor(
    name="canny",
    kind="canny",
    summary="Canny edges, one pixel wide",
    run=canny,
    contract=contract_for("canny"),
    options=(
        Option(
            "low", None, "edges weaker than this are dropped; auto: two thirds of the median", 0, 2000, optional=True
        ),
        Option("high", None, "edges stronger than this start a line; auto: four thirds", 0, 2000, optional=True),
        Option("blur", 0.0, "Gaussian blur before, in pixels", 0, 20),
    ),
    aliases={"embedded:canny": {}},
)
