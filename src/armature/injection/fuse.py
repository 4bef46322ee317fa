"""A learned fuser between several controls: it weighs their features by what all of them show."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from armature.adapters.base import Adapter
from armature.adapters.features import Features
from armature.adapters.networks.fuser import FuserAdapter
from armature.errors import AttachError
from armature.injection.control import Control
from armature.injection.mix import ControlFeatures
from armature.injection.sites import SiteMap


def check_fuser(fuser: Any, controls: Sequence[Control], site_map: SiteMap) -> FuserAdapter | None:
    """The fuser, if it is one, fits the U-Net, and knows the kinds of all controls; None for none.

    Raises AttachError otherwise.
    """
    if fuser is None:
        return None
    if not isinstance(fuser, FuserAdapter):
        what = f"a {fuser.spec.network} adapter" if isinstance(fuser, Adapter) else f"a {type(fuser).__name__}"
        raise AttachError(f"The fuser is {what}; give what armature.load_adapter returns for a CoAdapter fuser's file.")
    sites = site_map.widths[: len(fuser.spec.channels)]
    if fuser.spec.channels != sites or len(sites) not in site_map.counts:
        raise AttachError(
            f"The fuser takes feature maps of the widths {list(fuser.spec.channels)}, and {site_map.title} has "
            f"{list(site_map.widths)}; use a fuser made for this base."
        )
    for control in controls:
        fuser.check_kind(control.name)
        tokens = control.adapter.spec.tokens
        if tokens is not None and tokens.width != fuser.spec.width:
            raise AttachError(
                f"The {control.name} adapter gives tokens of width {tokens.width}, and the fuser takes "
                f"{fuser.spec.width}; use those that were trained together."
            )
    return fuser


@torch.no_grad()
def fused(fuser: FuserAdapter, parts: Sequence[ControlFeatures], device: torch.device) -> list[ControlFeatures]:
    """The same controls with weighed features; their weights are in these then.

    Source: the authors' CoAdapter multiplies features with their weights first, and fuses them then. Masks and halves
    of guidance are applied to what comes out.
    """
    if not parts:
        return []
    count = max(part.features.batch for part in parts)
    features = []
    for part in parts:
        if part.features.batch not in (1, count):
            raise AttachError(
                f"The {part.control.name} control has {part.features.batch} pictures and another one {count}; with a "
                "fuser give one each, or equally many."
            )
        own = _weighted(part)
        spread = own if own.batch == count else own.each(lambda one: one.expand(count, *one.shape[1:]))
        features.append(spread.to(device, fuser.dtype))
    named = [(part.control.name, one) for part, one in zip(parts, features, strict=True)]
    return [
        ControlFeatures(replace(part.control, weight=1.0, levels=None), one, part.mask)
        for part, (_, one) in zip(parts, _run(fuser, named, device), strict=True)
    ]


def _weighted(part: ControlFeatures) -> Features:
    """The features times the control's weight and levels."""
    maps = tuple(
        feature * weight for feature, weight in zip(part.features.maps, part.control.level_weights, strict=False)
    )
    tokens = part.features.tokens
    return Features(maps, None if tokens is None else tokens * part.control.weight)


def _run(fuser: FuserAdapter, named: list[tuple[str, Features]], device: torch.device) -> list[tuple[str, Features]]:
    """The fuser's answer on `device`, leaving the fuser where it is."""
    fuser.check(named)
    if fuser.device != device:
        # It runs a few times a picture; a copy for that moment costs less than moving it to and fro.
        fuser = copy.deepcopy(fuser).to(device)
    return fuser.weighed(named)
