"""Reading a network's numbers off the shapes of its tensors (under the authors' names)."""

from __future__ import annotations

import re

from armature.adapters.spec import Shapes


def widths_at(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    """The output width at each index that a pattern finds, from 0 to the highest.

    A gap takes the width before it, so that a damaged file is still recognised and the comparison can name its gaps.
    """
    places: dict[int, int] = {}
    for name, shape in shapes.items():
        # More than six digits is no index of any network.
        if (match := re.fullmatch(pattern, name)) and shape and len(match[1]) < 7:
            places[int(match[1])] = shape[0]
    if not places or max(places) > len(shapes):
        return ()
    widths: list[int] = []
    for index in range(max(places) + 1):
        widths.append(places.get(index, widths[-1] if widths else places[min(places)]))
    return tuple(widths)
