"""Edge fidelity: do the lines of a picture lie where the given lines are?"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from armature.errors import ConditionError

TOLERANCE = 2.0
CANNY_LOW, CANNY_HIGH = 30, 80


@dataclass(frozen=True)
class EdgeScore:
    """How well a picture's edges and the given lines agree.

    precision: share of the edge pixels that lie near a line. recall: share of the line pixels that lie near an edge.
    """

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0..1."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def picture_edges(picture: np.ndarray) -> np.ndarray:
    """Edges of a picture: Canny at fixed thresholds per channel, joined, after a light blur.

    picture: (h, w, 3) uint8 RGB. Returns (h, w) bool. Fixed thresholds, so that pictures are judged alike.
    """
    smooth = cv2.GaussianBlur(picture, (3, 3), 0.8)
    channels = [
        cv2.Canny(np.ascontiguousarray(smooth[..., c]), CANNY_LOW, CANNY_HIGH, L2gradient=True) for c in range(3)
    ]
    return np.maximum.reduce(channels) > 0


def edge_score(lines: np.ndarray, edges: np.ndarray, tolerance: float = TOLERANCE) -> EdgeScore:
    """Compare two sets of pixels, each (h, w) bool or 0/non-zero; tolerance in pixels (Euclidean).

    Empty against empty scores 1, empty against anything else 0. Raises ConditionError when the shapes differ.
    """
    if lines.shape != edges.shape:
        raise ConditionError(f"Lines of shape {lines.shape} and edges of {edges.shape} cannot be compared; resize one.")
    lines, edges = lines > 0, edges > 0
    if not lines.any() or not edges.any():
        same = float(lines.any() == edges.any())
        return EdgeScore(same, same)
    return EdgeScore(_near(edges, lines, tolerance), _near(lines, edges, tolerance))


def _near(these: np.ndarray, those: np.ndarray, tolerance: float) -> float:
    distance = cv2.distanceTransform((~those).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[these] <= tolerance).mean())
