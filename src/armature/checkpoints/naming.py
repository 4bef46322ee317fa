"""What the name of a published file says about its content."""

from __future__ import annotations

import re

from armature.conditions.kinds import kind_in_source

_XL = re.compile(r"(?<![a-z])(sd)?xl(?![a-z])", re.IGNORECASE)
_SD = re.compile(r"(?<![a-z])sd[-_.]?(1|2)", re.IGNORECASE)


def kind_of(name: str) -> str | None:
    """The kind that a hub id, folder or file name speaks of ("t2iadapter_sketch_sd15v2" is sketch), or None."""
    return kind_in_source(name)


def family_of(name: str) -> str | None:
    """The family that a name speaks of: "..._sd15v2" and "..._sd14v1" are "sd", "...-sdxl-1.0" is "sdxl".

    Only the last part of the path counts; None when it says neither, or both.
    """
    last = re.split(r"[/\\]", name)[-1]
    is_xl, is_sd = bool(_XL.search(last)), bool(_SD.search(last))
    if is_xl == is_sd:
        return None
    return "sdxl" if is_xl else "sd"
