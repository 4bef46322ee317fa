"""For a picture that is a map already: checks that it is one, and brings it into its contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.contract import InputContract
from armature.conditions.control_map import prepare_pixels
from armature.conditions.extractor import Extractor, Option, with_notes
from armature.conditions.kinds import contract_for
from armature.conditions.picture.reading import to_picture
from armature.errors import ConditionError

if TYPE_CHECKING:
    from PIL import Image

# Notes that mean "this is not such a map"; all others only tell what was done.
_MISFITS = ("looks like a picture", "is grey;", "palette;")


def ready_map(picture: Image.Image, of: str, strict: bool) -> Image.Image:
    """The map under the contract of the kind `of`, mode "L" or "RGB"; a drawing on paper becomes white on black.

    Raises ConditionError for an unknown kind, an empty map and, when strict, for a photo given as lines, a grey picture
    given as a coloured map, and seg colours outside the palette.
    """
    pixels = prepare_pixels(picture, contract_for(of))
    wrong = [note for note in pixels.notes if any(mark in note for mark in _MISFITS)]
    if strict and wrong:
        raise ConditionError(f"Not a {of} map: {' '.join(wrong)} Pass strict=False to use it all the same.")
    return with_notes(to_picture(pixels.values), pixels.notes)


EXTRACTOR = Extractor(
    name="map",
    kind="map",
    summary="the picture is a map already: check it",
    run=ready_map,
    contract=InputContract("any", 3, "RGB", description="as the kind's own contract says"),
    options=(
        Option("of", "sketch", "kind of the map"),
        Option("strict", True, "refuse what does not look like such a map"),
    ),
)
