"""A picture in, a condition map out: the one call in front of all extractors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armature.conditions.picture.reading import read_picture
from armature.conditions.registry import find_extractor

if TYPE_CHECKING:
    from PIL import Image


def extract(kind: str, picture: Any, **options: Any) -> Image.Image:
    """The condition map of a picture, at the picture's size, mode "L" or "RGB".

    kind: an extractor, a kind of control or another tool's name ("canny", "depth", "embedded:depth", "midas"...);
        `extractor_names` lists them.
    picture: path, PIL picture, NumPy array or tensor.
    options: the extractor's own, see `find_extractor(kind).options`.
    The same picture gives the same map in every form of input, and again on every run.
    Raises ConditionError for an unknown kind, wrong options, a picture that cannot be read, and missing weights.
    """
    extractor = find_extractor(kind)
    settings = extractor.settings(options)
    return extractor.run(read_picture(picture), **settings)
