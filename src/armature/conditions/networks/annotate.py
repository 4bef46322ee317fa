"""The embedded annotator asked about one picture of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from armature.conditions.picture.fit import fit_picture
from armature.conditions.pose.pose import Pose, pose_from_rows

if TYPE_CHECKING:
    from PIL import Image

# The network knows scenes of about this many pixels a side.
_SIDE = 128


@dataclass(frozen=True)
class PictureMaps:
    """What the annotator sees in a picture, at the picture's size.

    depth: mode "L", near is bright. seg: mode "RGB", toyworld's palette. people: OpenPose joints in pixels.
    """

    depth: Image.Image
    seg: Image.Image
    people: tuple[Pose, ...]


def annotate(picture: Image.Image) -> PictureMaps:
    """Depth, classes and people of a toyworld-like picture of any size.

    The network sees it with a shorter side of 128 pixels and both sides rounded to multiples of 16; the maps are
    brought back to the picture's size. Raises CheckpointError when the annotator's weights are missing.
    """
    # Conditions import without torch; only this network needs it.
    import numpy as np
    from PIL import Image

    from armature.conditions.networks.annotator import load_network
    from armature.toyworld.palette import SEG_TABLE

    scale = _SIDE / min(picture.size)
    width, height = (max(16, round(side * scale / 16) * 16) for side in picture.size)
    seen = load_network().annotate(np.asarray(fit_picture(picture.convert("RGB"), (width, height)))[None])[0]
    size = picture.size
    people = tuple(
        pose_from_rows(np.concatenate([person.joints, person.confidence[:, None]], 1).tolist())
        for person in seen.people
    )
    if (width, height) != size:
        people = tuple(pose.scaled(size[0] / width, size[1] / height) for pose in people)
    depth = Image.fromarray(np.round(seen.depth * 255).astype(np.uint8))
    seg = Image.fromarray(SEG_TABLE[seen.classes])
    return PictureMaps(fit_picture(depth, size), fit_picture(seg, size, content="label"), people)
