"""A sheet of paper in a photograph: where it lies, so that neither its edges nor the table count as lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

# The search runs on a copy of this size, in pixels of the longer side.
_SEARCH = 320
# Shares of the picture: a smaller sheet is a thing in a scene, a larger one is the whole picture.
_SMALLEST, _LARGEST = 0.12, 0.985
# How much of its convex hull, and of the polygon drawn round it, a sheet fills.
_SOLID = 0.93
# Paper is brighter than this, and hardly coloured: weakest channel over strongest, under a warm lamp.
_LEAST_LIGHT, _LEAST_WHITE = 0.25, 0.6
# Along each edge of the sheet, how many places must show a step to something else, and how large a step is.
_SEEN, _STEP = 0.8, 0.06
# Corners that lie in the picture are about right angles, in degrees, seen at a slant.
_ANGLES = (50.0, 135.0)
# What is left out along the edges, as a share of the picture's longer side: shadows, curled paper, blur.
_RIM = 0.012


def find_sheet(values: np.ndarray) -> np.ndarray | None:
    """The inside of a sheet of paper that lies on something else, bool (H, W), or None where none is clearly seen.

    values: (H, W, 1 or 3) in 0..1. A sheet is bright and hardly coloured, convex, has at most four straight edges, of
    which two at least meet in the picture, and each of them is a step to what lies around it. Whether there is a
    drawing on it is for the caller to see.
    """
    import cv2
    import numpy as np

    height, width = values.shape[:2]
    factor = min(1.0, _SEARCH / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    # Strokes are closed away; the sheet's corners, which are convex, stay.
    reach = max(3, round(max(size) / 28)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    # Of a narrow strip of table along the border, closing would make paper, were the strip not continued outside.
    padded = cv2.copyMakeBorder(small, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel).reshape(*padded.shape[:2], -1)
    plain = closed[reach:-reach, reach:-reach]
    if float((plain.min(axis=-1) > _LEAST_LIGHT).mean()) < _SMALLEST:
        return None
    best: tuple[np.ndarray, _Outline] | None = None
    strongest = 0.0
    for region in _regions(plain):
        outline = _outline(region)
        if outline is not None and (step := _sheet_step(region, outline, plain)) > strongest:
            best, strongest = (region, outline), step
    if best is None:
        return None
    inside = _without_rim(*best)
    return cv2.resize(inside.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def _without_rim(region: np.ndarray, outline: _Outline) -> np.ndarray:
    """The region less a rim along its own edges, uint8."""
    import cv2
    import numpy as np

    rim = max(2, round(_RIM * max(region.shape)))
    # The picture's own border is no edge of the sheet: nothing is left out there.
    around = cv2.copyMakeBorder(region, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
    inside = cv2.erode(around, np.ones((2 * rim + 1,) * 2, np.uint8))[rim:-rim, rim:-rim].copy()
    # Where an edge leaves the picture, a wedge of table too narrow to be seen above lies beyond it.
    y, x = np.mgrid[: region.shape[0], : region.shape[1]]
    centre = outline.corners.mean(axis=0)
    for a, b in outline.edges():
        along = (b - a) / np.linalg.norm(b - a)
        depth = (x - a[0]) * along[1] - (y - a[1]) * along[0]
        sign = np.sign((centre[0] - a[0]) * along[1] - (centre[1] - a[1]) * along[0])
        inside[sign * depth < rim] = 0
    return inside


def _regions(plain: np.ndarray) -> Iterator[np.ndarray]:
    """Regions that may be a sheet, uint8 (h, w): brighter than a threshold, or without a step inside."""
    import cv2
    import numpy as np

    weakest, mean = plain.min(axis=-1), plain.mean(axis=-1)
    for tone in (weakest, mean):
        for level in np.linspace(float(np.percentile(tone, 5)), float(np.percentile(tone, 95)), 12)[1:-1]:
            yield from _pieces((tone > level).astype(np.uint8))
    logarithm = np.log(np.maximum(cv2.GaussianBlur(plain, (0, 0), 1.0), 0.02)).reshape(plain.shape)
    across = cv2.Sobel(logarithm, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(logarithm, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    steep = np.hypot(across, down).reshape(plain.shape).max(axis=-1)
    for level in (0.02, 0.03, 0.045, 0.07):
        # The band along a step is about two pixels wide on either side.
        for piece in _pieces((steep < level).astype(np.uint8)):
            yield cv2.dilate(piece, np.ones((3, 3), np.uint8))


def _pieces(mask: np.ndarray) -> Iterator[np.ndarray]:
    """The large connected pieces of a mask, holes and notches filled, thin bridges cut."""
    import cv2
    import numpy as np

    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    for label in range(1, count):
        area = int(stats[label, cv2.CC_STAT_AREA])
        if not 0.7 * _SMALLEST * mask.size <= area <= _LARGEST * mask.size:
            continue
        outlines, _ = cv2.findContours((labels == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = np.zeros_like(mask)
        cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
        if _SMALLEST * mask.size <= int(filled.sum()) <= _LARGEST * mask.size:
            yield filled


class _Outline(NamedTuple):
    """A region's polygon: corners (n, 2), (x, y); the edges from each to the next that are its own, and not the
    picture's border; how much of its convex hull the region fills.
    """

    corners: np.ndarray
    own: tuple[bool, ...]
    solid: float

    def edges(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The ends of the region's own edges, two at least 4 pixels from each other."""
        for a, b, own in zip(self.corners, (*self.corners[1:], self.corners[0]), self.own, strict=True):
            if own and abs(b - a).max() >= 4:  # the cut tip of a corner is no edge
                yield a, b


def _outline(region: np.ndarray) -> _Outline | None:
    """The polygon round a region, or None when it is not nearly that polygon."""
    import cv2
    import numpy as np

    contour = max(cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=cv2.contourArea)
    hull = cv2.convexHull(contour)
    corners = cv2.approxPolyDP(hull, 0.012 * cv2.arcLength(hull, True), True)[:, 0]
    area = int(region.sum())
    for shape in (hull, corners):
        filled = np.zeros_like(region)
        cv2.fillConvexPoly(filled, shape, 1)
        if int((filled & region).sum()) < _SOLID * max(area, int(filled.sum())):
            return None
    cv2.fillConvexPoly(filled := np.zeros_like(region), hull, 1)
    ends = np.roll(corners, -1, axis=0)
    own = tuple(not _on_border(a, b, region.shape) for a, b in zip(corners, ends, strict=True))
    return _Outline(corners, own, area / int(filled.sum()))


def _sheet_step(region: np.ndarray, outline: _Outline, plain: np.ndarray) -> float:
    """How clearly a region is a sheet: the weakest step along one of its edges; 0 when it is none."""
    import numpy as np

    colour = np.median(plain[region > 0], axis=0)
    if float(colour.max()) < _LEAST_LIGHT or float(colour.min()) < _LEAST_WHITE * float(colour.max()):
        return 0.0
    own, corners = outline.own, outline.corners
    # Between two edges of its own lies a corner that the picture shows.
    meeting = [index for index, here in enumerate(own) if here and own[index - 1]]
    if not meeting or sum(own) > 4:
        return 0.0
    if any(not _ANGLES[0] <= _angle(corners, index) <= _ANGLES[1] for index in meeting):
        return 0.0
    centre = corners.mean(axis=0)
    # Ragged regions have run out over the table, or have lost a part of the sheet.
    return outline.solid**10 * min((_step(a, b, centre, plain) for a, b in outline.edges()), default=0.0)


def _on_border(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether an edge runs along the picture's border."""
    last_x, last_y = shape[1] - 1, shape[0] - 1
    near = 3
    return any(
        max(first, second) <= near or min(first, second) >= last - near
        for first, second, last in ((a[0], b[0], last_x), (a[1], b[1], last_y))
    )


def _angle(corners: np.ndarray, index: int) -> float:
    """The inner angle at a corner, in degrees."""
    import numpy as np

    here = corners[index].astype(np.float64)
    one, two = corners[index - 1] - here, corners[(index + 1) % len(corners)] - here
    cosine = float(one @ two) / max(float(np.linalg.norm(one) * np.linalg.norm(two)), 1e-9)
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _step(a: np.ndarray, b: np.ndarray, centre: np.ndarray, plain: np.ndarray) -> float:
    """The usual relative step from inside to outside along an edge, in the channel where it is largest; 0 where too
    few places show one, or the outside is brighter.
    """
    import numpy as np

    along = (b - a).astype(np.float64)
    length = float(np.linalg.norm(along))
    outward = np.array([along[1], -along[0]]) / length
    if float(outward @ (centre - a)) > 0:
        outward = -outward
    away = max(3.0, 0.018 * max(plain.shape[:2]))
    places = a + along * np.linspace(0.08, 0.92, max(8, int(length // 3)))[:, None]
    beyond = places + away * outward
    shown = ((beyond >= 0) & (beyond <= (plain.shape[1] - 1, plain.shape[0] - 1))).all(axis=-1)
    if shown.sum() < 3:
        return 1.0  # what lies beyond it is not in the picture
    inside, outside = _at(plain, (places - away * outward)[shown]), _at(plain, beyond[shown])
    drop: Any = (inside - outside) / np.maximum(inside, 0.05)
    steps = drop[np.arange(len(drop)), np.abs(drop).argmax(axis=-1)]
    seen = float((steps > _STEP).mean())
    return float(np.median(steps)) if seen >= _SEEN else 0.0


def _at(plain: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The tones at places (n, 2), (x, y) in pixels."""
    import numpy as np

    x = np.clip(np.rint(places[:, 0]).astype(int), 0, plain.shape[1] - 1)
    y = np.clip(np.rint(places[:, 1]).astype(int), 0, plain.shape[0] - 1)
    return plain[y, x]


def paper_everywhere(values: np.ndarray, sheet: np.ndarray) -> np.ndarray:
    """The picture with what lies off the sheet replaced by paper, so that no edge is left: (H, W, C) as given.

    values: (H, W, 1 or 3) in 0..1. sheet: bool (H, W), not empty. Paper goes on in the tone that it has nearest by.
    """
    import cv2
    import numpy as np

    height, width = values.shape[:2]
    factor = min(1.0, 96 / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    weight = cv2.resize(sheet.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    reach = max(3, round(max(size) / 12)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    filled = np.where(sheet[..., None], values, 0.0).astype(np.float32)
    tones = []
    for tone in np.moveaxis(filled, -1, 0):
        # Brightest of the neighbourhood, as paper is everywhere estimated; what is off the sheet is black here.
        paper = cv2.morphologyEx(
            cv2.resize(np.ascontiguousarray(tone), size, interpolation=cv2.INTER_AREA) / np.maximum(weight, 0.5),
            cv2.MORPH_CLOSE,
            kernel,
            borderType=cv2.BORDER_REPLICATE,
        )
        tones.append(cv2.resize(_spread(paper, weight > 0.9), (width, height), interpolation=cv2.INTER_LINEAR))
    return np.where(sheet[..., None], values, np.stack(tones, axis=-1)).astype(np.float32)


def _spread(tone: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The tone (h, w) where it is known, and elsewhere that of the nearest place where it is."""
    import cv2
    import numpy as np

    if not known.any():
        return np.full_like(tone, float(tone.max()))
    _, numbers = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(numbers, np.int64)
    nearest = np.zeros(int(labels.max()) + 1, np.float32)
    nearest[labels[known]] = tone[known]
    return nearest[labels]
