"""Whether an adapter can fit a base, told before the base's weights are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from armature.adapters.base import Adapter
from armature.bases.families import family_title
from armature.bases.glance import glance_at
from armature.errors import AttachError
from armature.injection.context import context_width
from armature.injection.fit import check_fit
from armature.injection.sites import find_sites


def check_before_opening(adapter: Adapter, name: str, base: Any, config: str | Path | None = None) -> None:
    """Raise AttachError when headers alone show that an adapter does not fit a base.

    name: of the control, for messages. base, config: as for `open_base`; one that is open is not looked at, and what
    headers do not tell is left to attaching. A large base takes minutes to read, its headers milliseconds.
    """
    glance = glance_at(base, config)
    if glance.unet is not None:
        check_fit(adapter, find_sites(glance.unet), context_width(glance.unet), name)
        return
    family, made_for = glance.family, adapter.card.family
    if family is not None and made_for not in (None, family.adapters):
        raise AttachError(
            f"The {name} adapter ({adapter.spec.network}) is made for {family_title(made_for)}, and the base "
            f"{str(base)!r} is of the family {family.title}. Use an adapter made for {family_title(family.adapters)}, "
            "or another base model."
        )
