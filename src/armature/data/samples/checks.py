"""A look at some of the ready condition maps of a data set, before it is trained on."""

from __future__ import annotations

from collections.abc import Sequence

from armature.conditions.contract import WHITE_ON_BLACK, InputContract
from armature.conditions.kinds import find_kind
from armature.data.samples.polarity import folder_is_dark_on_light
from armature.data.settings import DataSettings
from armature.data.sources.bad import BadSampleError
from armature.data.sources.listed import ListedSource
from armature.data.sources.source import Source
from armature.errors import ConditionError, DatasetError

_LOOKED_AT = 12


def look_at_maps(
    settings: DataSettings, source: Source, usable: Sequence[int], kind: str, contract: InputContract
) -> bool:
    """Whether ready line maps are dark on light; also refuses flips of pose maps whose sides cannot be told."""
    lines = contract.polarity == WHITE_ON_BLACK
    mirror = find_kind(kind).mirror if settings.flip != "never" else None
    if settings.conditions is None or not isinstance(source, ListedSource) or not (lines or mirror):
        return False
    maps = []
    for index in spread(usable, _LOOKED_AT):
        try:
            picture = source.read_condition(index)
        except BadSampleError:
            continue  # named when its frame is asked for
        if picture is not None:
            maps.append(picture.pixels)
    if lines:
        return bool(maps) and folder_is_dark_on_light(maps)
    for pixels in maps:
        if mirror is not None and pixels.ndim == 3:
            try:
                mirror(pixels)
            except ConditionError as error:
                raise DatasetError(f"data.conditions of {source.name}: {error}") from error
    return False


def spread(numbers: Sequence[int], count: int) -> list[int]:
    """At most `count` of the numbers, evenly over all of them."""
    few = min(count, len(numbers))
    return [numbers[place * len(numbers) // few] for place in range(few)]
