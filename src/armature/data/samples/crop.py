"""How a picture comes to its bucket: which size it gets, what is cut away, and whether it may be mirrored."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from armature.conditions.picture.fit import Content, resize
from armature.data.settings import Flip
from armature.errors import RecipeError

# Pictures beyond these proportions (width / height) go into the outermost bucket and lose more of their long side.
LIMITS = (0.5, 2.0)
_WORDS = re.compile(
    r"\b(left|right|leftmost|rightmost|left-hand|right-hand|clockwise|counterclockwise|anticlockwise|"
    r"text|texts|letters?|lettering|words?|writing|written|handwriting|handwritten|signs?|signpost|signposts|signage|"
    r"numbers?|numerals?|digits?|logos?|labels?|labell?ed|captions?|titles?|titled|inscriptions?|inscribed|"
    r"calligraphy|graffiti|typography|alphabet|monogram|watermarks?|banners?|billboards?|posters?|newspapers?|"
    r"license plates?|licence plates?|number plates?|clocks?|maps?|saying|says|reads|reading)\b",
    re.IGNORECASE,
)
# Double quotation marks of any language, or single ones around something.
_QUOTED = re.compile("[\"\u201c\u201d\u201e\u00ab\u00bb]|(?<!\\w)['\u2018].+?['\u2019](?!\\w)")


@dataclass(frozen=True)
class Crop:
    """What becomes of a picture: scaled to cover its bucket, cut, perhaps mirrored.

    The same for its condition map, whatever size that has.

    original: (height, width) of the upright picture. scaled: (height, width) of it once it covers the bucket.
    target: (height, width) of the bucket. top, left: of the crop in the scaled picture before it is mirrored.
    """

    original: tuple[int, int]
    scaled: tuple[int, int]
    target: tuple[int, int]
    top: int
    left: int
    mirrored: bool

    @property
    def corner(self) -> tuple[int, int]:
        """(top, left) as SDXL is told it: in the picture as it is shown, so mirrored with it."""
        return (self.top, self._far_left if self.mirrored else self.left)

    def apply(self, pixels: np.ndarray, content: Content) -> np.ndarray:
        """The crop of a picture or map: (h, w[, 3]) uint8 of any size to target's size."""
        cropped = self._cut(pixels, content, self.left)
        return np.ascontiguousarray(cropped[:, ::-1]) if self.mirrored else cropped

    def apply_to_mirrored(self, pixels: np.ndarray, content: Content) -> np.ndarray:
        """The crop of a map that shows the mirrored picture already."""
        return self._cut(pixels, content, self._far_left)

    @property
    def _far_left(self) -> int:
        return self.scaled[1] - self.target[1] - self.left

    def _cut(self, pixels: np.ndarray, content: Content, left: int) -> np.ndarray:
        scaled = resize(pixels, self.scaled, content)
        height, width = self.target
        return np.ascontiguousarray(scaled[self.top : self.top + height, left : left + width])


def place_crop(
    size: tuple[int, int],
    bucket: tuple[int, int],
    crop: Literal["centre", "random"],
    mirrored: bool,
    rng: np.random.Generator,
) -> Crop:
    """The crop of a picture: scaled by as little as covers its bucket, then cut.

    size, bucket: (width, height) in pixels.
    """
    width, height = size
    factor = max(bucket[0] / width, bucket[1] / height)
    # Rounding must never leave a covering picture one pixel short.
    scaled = (max(round(height * factor), bucket[1]), max(round(width * factor), bucket[0]))
    spare = (scaled[0] - bucket[1], scaled[1] - bucket[0])
    if crop == "random":
        top, left = (int(rng.integers(0, room + 1)) for room in spare)
    else:
        top, left = spare[0] // 2, spare[1] // 2
    return Crop((height, width), scaled, (bucket[1], bucket[0]), top, left, mirrored)


def may_flip(caption: str, flip: Flip) -> bool:
    """Whether a sample with this caption may be mirrored.

    "text-safe" refuses for words about left and right, about writing and things that bear it, and for quoted words;
    it rather refuses too often than once too few.
    """
    if flip == "text-safe":
        return not (_WORDS.search(caption) or _QUOTED.search(caption))
    return flip == "always"


@dataclass(frozen=True)
class Buckets:
    """sizes: (width, height) in pixels, from the tallest to the widest."""

    sizes: tuple[tuple[int, int], ...]

    def nearest(self, width: int, height: int) -> tuple[int, int]:
        """The bucket whose proportions are nearest to a picture's."""
        aspect = math.log(width / height)
        return min(self.sizes, key=lambda size: abs(math.log(size[0] / size[1]) - aspect))


def make_buckets(resolution: int, step: int | None, *, usual_step: int, stride: int) -> Buckets:
    """Buckets of about resolution² pixels, sides multiples of `step`, proportions from 1:2 to 2:1.

    step: in pixels; 0 gives one square; None takes `usual_step`, that of the base. stride: of adapter and
    autoencoder together.
    Raises RecipeError when step or, for a square, resolution is no multiple of the stride, or no bucket is left.
    """
    if step is None:
        step = usual_step if usual_step % stride == 0 else stride
    if step == 0:
        if resolution % stride:
            below = max(stride, resolution // stride * stride)
            raise RecipeError(
                f"data.resolution = {resolution} is no multiple of {stride}, the stride of adapter and autoencoder; "
                f"take {below} or {resolution // stride * stride + stride}."
            )
        return Buckets(((resolution, resolution),))
    if step % stride:
        raise RecipeError(
            f"data.bucket_step = {step} is no multiple of {stride}, the stride of adapter and autoencoder; "
            f"take {math.ceil(step / stride) * stride}."
        )
    area = resolution * resolution
    low, high = (math.sqrt(area * limit) for limit in LIMITS)
    sizes: set[tuple[int, int]] = set()
    for width in range(step, math.ceil(high) + step, step):
        height = max(step, round(area / width / step) * step)
        if low <= width <= high and LIMITS[0] <= width / height <= LIMITS[1]:
            sizes |= {(width, height), (height, width)}
    if not sizes:
        raise RecipeError(
            f"data.bucket_step = {step} is too coarse for data.resolution = {resolution}: no size with sides of "
            f"multiples of {step} has that area; take a smaller step, or 0 for squares."
        )
    return Buckets(tuple(sorted(sizes, key=lambda size: size[0] / size[1])))
