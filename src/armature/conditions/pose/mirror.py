"""Pose maps of mirrored pictures: mirrored, and left and right limbs recoloured into each other's colours."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

from armature.conditions.pose.pose import JOINTS
from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np

_LIMB_SHARE = 0.6
# Steps of 255 within which a pixel is taken for a colour of the drawing; JPEG and rounding stay below.
_SAME = 8
_MIXED = 24
_STRANGE = 48
_MOST_STRANGE = 0.02
# mmpose's middle, left and right, as `draw_keypose` draws them.
_KEYPOSE = ((255, 153, 51), (0, 255, 0), (0, 128, 255))


def mirrored_openpose(pixels: np.ndarray) -> np.ndarray:
    """The openpose map (h, w, 3) uint8 of the mirrored picture.

    Where limbs of both sides overlap, the one that was above stays above. Soft edges are taken apart into the two
    colours that they mix.
    Raises ConditionError when the map is not in OpenPose's colours, so that left and right cannot be told.
    """
    return _mirrored(pixels, "openpose", _openpose)


def mirrored_keypose(pixels: np.ndarray) -> np.ndarray:
    """The keypose map of the mirrored picture, as `mirrored_openpose` gives it for its colours."""
    return _mirrored(pixels, "keypose", _keypose)


def _mirrored(
    pixels: np.ndarray, kind: str, swap: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, int]]
) -> np.ndarray:
    """The flipped map with its sides swapped. swap: of (map, drawn pixels), gives the map and how many were strange."""
    import numpy as np

    if pixels.ndim == 2:
        raise ConditionError(f"The {kind} map is grey, so left and right cannot be told; set data.flip = 'never'.")
    flipped = np.ascontiguousarray(pixels[:, ::-1])
    drawn = flipped.max(axis=-1) > _SAME
    if not drawn.any():
        return flipped
    swapped, strange = swap(flipped, drawn)
    if strange > _MOST_STRANGE * drawn.sum():
        raise ConditionError(
            f"{strange / drawn.sum():.0%} of the drawn pixels of the {kind} map are not in its usual colours, so its "
            "left and right cannot be swapped; set data.flip = 'never', or draw the maps with armature extract."
        )
    return swapped


def _keypose(flipped: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, int]:
    """Three colours and black: one matrix takes every mixture of them to the mixture with left and right swapped."""
    import numpy as np

    colours = np.array(_KEYPOSE, np.float64)
    shares = flipped[drawn].astype(np.float64) @ np.linalg.inv(colours)
    strange = (shares.min(axis=1) < -0.15) | (shares.sum(axis=1) > 1.15)
    result = flipped.copy()
    result[drawn] = np.clip(np.rint(shares @ colours[[0, 2, 1]]), 0, 255).astype(np.uint8)
    return result, int(strange.sum())


@lru_cache(maxsize=1)
def _colours() -> tuple[np.ndarray, np.ndarray]:
    """The drawing's colours (36, 3): black, joints, limbs; and the number of each one's partner on the other side."""
    import numpy as np

    from armature.toyworld.maps import LIMBS, WHEEL

    joints = [_other_side(index) for index in range(len(JOINTS))]
    ends = [frozenset(limb) for limb in LIMBS]
    limbs = [ends.index(frozenset(joints[end] for end in limb)) for limb in LIMBS]
    wheel = np.array(WHEEL, np.float64)
    table = np.concatenate([np.zeros((1, 3)), wheel, wheel[: len(LIMBS)] * _LIMB_SHARE])
    partners = [0, *(1 + joint for joint in joints), *(1 + len(joints) + limb for limb in limbs)]
    return table, np.array(partners)


def _other_side(joint: int) -> int:
    name = JOINTS[joint]
    side, _, part = name.partition(" ")
    return JOINTS.index(f"{ {'left': 'right', 'right': 'left'}[side] } {part}") if part else joint


def _openpose(flipped: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, int]:
    import numpy as np

    table, partners = _colours()
    # Drawn maps have few colours: each is looked up once.
    colours, which = np.unique(flipped[drawn], axis=0, return_inverse=True)
    distance = np.abs(colours[:, None].astype(np.float64) - table).max(axis=-1)
    nearest, sure = distance.argmin(axis=1)[which], (distance.min(axis=1) <= _SAME)[which]
    values = flipped[drawn].astype(np.float64)
    numbers = np.where(drawn, -1, 0).astype(np.int64)
    numbers[drawn] = np.where(sure, nearest, -1)
    old, new = table[nearest], table[partners[nearest]]
    strange = 0
    if not sure.all():
        old[~sure], new[~sure], error = _unmixed(values[~sure], _beside(numbers)[drawn][~sure], table, partners)
        strange = int((error > _STRANGE).sum())
    result = flipped.copy()
    # What is left of a pixel beside its colours (JPEG noise) goes with it.
    result[drawn] = np.clip(np.rint(values - old + new), 0, 255).astype(np.uint8)
    return result, strange


def _beside(numbers: np.ndarray) -> np.ndarray:
    """(h, w, 36) bool: which colours are seen within two pixels."""
    import cv2
    import numpy as np

    seen = np.zeros((*numbers.shape, len(_colours()[0])), bool)
    for number in np.unique(numbers[numbers >= 0]):
        seen[..., number] = cv2.dilate((numbers == number).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return seen


def _unmixed(
    values: np.ndarray, seen: np.ndarray, table: np.ndarray, partners: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (n, 3) as mixtures of two colours: the mixture, that of the partners, and the distance to the pixel.

    Colours that are seen nearby come first: a dark red alone could belong to several limbs.
    """
    import numpy as np

    old, new = values.copy(), values.copy()
    error = np.full(len(values), np.inf)
    present = np.flatnonzero(seen.any(axis=0))
    for nearby in (True, False):
        open_still = np.flatnonzero(error > _MIXED)
        pool = present if nearby else np.arange(len(table))
        for a, b in combinations(pool.tolist(), 2):
            pick = open_still[seen[open_still, a] & seen[open_still, b]] if nearby else open_still
            if not len(pick):
                continue
            line = table[b] - table[a]
            share = np.clip((values[pick] - table[a]) @ line / (line @ line), 0, 1)[:, None]
            mixture = table[a] + share * line
            found = np.linalg.norm(values[pick] - mixture, axis=1)
            better = found < error[pick]
            chosen = pick[better]
            error[chosen] = found[better]
            old[chosen] = mixture[better]
            new[chosen] = (table[partners[a]] + share * (table[partners[b]] - table[partners[a]]))[better]
    return old, new, error
