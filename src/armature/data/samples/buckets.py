"""Aspect-ratio buckets: the few picture sizes of a training, all of about the same area."""

from __future__ import annotations

import math
from dataclasses import dataclass

from armature.errors import RecipeError

# Pictures beyond these proportions (width / height) go into the outermost bucket and lose more of their long side.
LIMITS = (0.5, 2.0)


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
