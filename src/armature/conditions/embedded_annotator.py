"""The way to the annotator that ships with Armature: the only place in this room that knows where it lives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from armature.conditions.fit import fit_picture
from armature.conditions.pose import Pose
from armature.errors import ConditionError

if TYPE_CHECKING:
    from PIL import Image

_HOME = "armature.embedded.annotator"


@dataclass(frozen=True)
class Annotation:
    """What the annotator sees in a picture, at the picture's size.

    depth: mode "L", near is bright. seg: mode "RGB", toyworld's palette. people: OpenPose joints in pixels.
    """

    depth: Image.Image
    seg: Image.Image
    people: tuple[Pose, ...]


class Annotator(Protocol):
    """What `armature.embedded.annotator.load_annotator()` returns: called with an RGB picture, it annotates it."""

    def __call__(self, picture: Image.Image) -> Annotation:
        """Maps of the picture; they may come at another size and are brought back here."""
        ...


@lru_cache(maxsize=1)
def _annotator() -> Annotator:
    # By name and at call time: conditions stands below embedded, and must import without torch.
    try:
        home = import_module(_HOME)
    except ModuleNotFoundError as error:
        if error.name not in (_HOME, "armature.embedded"):
            raise
        raise ConditionError(
            "The embedded annotator is not part of this installation; for lines use 'sketch', 'lineart' or 'canny', "
            "which need no weights."
        ) from error
    return home.load_annotator()


def annotate(picture: Image.Image) -> Annotation:
    """Depth, classes and people of a toyworld-like picture, at its size.

    Raises ConditionError when the annotator is not installed, CheckpointError when its weights are missing.
    """
    found = _annotator()(picture.convert("RGB"))
    size = (picture.height, picture.width)
    height, width = found.depth.height, found.depth.width
    people = found.people
    if (height, width) != size:
        people = tuple(pose.scaled(size[1] / width, size[0] / height) for pose in people)
    return Annotation(fit_picture(found.depth, size), fit_picture(found.seg, size, content="labels"), people)
