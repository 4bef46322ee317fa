"""A control bound to a U-Net: read and checked when it is attached, computed when the size is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch.func import functional_call

from armature.adapters.base import Adapter
from armature.adapters.features import Features
from armature.adapters.region import Region, cut_out
from armature.errors import AttachError
from armature.injection.control import Control
from armature.injection.fit import cell_size, check_fit
from armature.injection.mask import fitted_masks, read_masks
from armature.injection.mix import ControlFeatures
from armature.injection.sites import SiteMap


@dataclass(frozen=True, eq=False)
class BoundControl:
    """A control whose adapter fits, whose pictures are read and whose mask is known.

    pictures: what the adapter's `prepare` takes; the same object as long as adapter and pictures are the same.
    notes: what reading the pictures showed, as sentences.
    """

    control: Control
    site_map: SiteMap
    pictures: tuple[Any, ...]
    mask: torch.Tensor | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Computed:
    """The features of a bound control at one latent size.

    mask: where it acts, as the control's own or cut like the picture.
    picture: height and width in pixels at which the adapter saw the control, padding included, or None for an adapter
    that sees every picture at a size of its own. notes: what was done to the control on its way.
    """

    features: Features
    mask: torch.Tensor | None
    picture: tuple[int, int] | None
    notes: tuple[str, ...]


def bind(control: Control, site_map: SiteMap, context: int | None) -> BoundControl:
    """Check a control against a U-Net and read its pictures, so that a call in progress meets no surprise.

    context: width of the U-Net's text context, or None where it has none.
    Raises AttachError when the adapter or the mask does not fit, ConditionError for pictures that cannot be used.
    """
    adapter = control.adapter
    notes = list(check_fit(adapter, site_map, context, control.name))
    # Files are read now: they may change or vanish before the pipeline runs.
    pictures = []
    for picture in control.pictures:
        value, more = adapter.read(picture)
        pictures.append(value)
        notes.extend(more)
    mask = None if control.mask is None else read_masks(control.mask)
    if mask is not None and len(pictures) > 1 and mask.shape[0] not in (1, len(pictures)):
        raise AttachError(
            f"The {control.name} control has {len(pictures)} pictures and {mask.shape[0]} masks; "
            "give one mask, or one per picture."
        )
    return BoundControl(control, site_map, tuple(pictures), mask, tuple(dict.fromkeys(notes)))


@torch.no_grad()
def compute(bound: BoundControl, latent: tuple[int, int], region: Region | None, device: torch.device) -> Computed:
    """Run the adapter of a bound control for a latent of the given height and width.

    region: the part of the picture that the latent is, None for the whole; the control is cut as the picture is.
    The picture is fitted, as its control says, to what the latent covers (8 pixels a cell for published adapters);
    where that is no multiple of the adapter's stride, its right and lower edges are continued.
    Raises AttachError when the features have other sizes than the sites, or are not finite.
    """
    control, adapter, sites = bound.control, bound.control.adapter, bound.site_map.all
    cell = cell_size(adapter, bound.site_map)
    prepared = adapter.prepare(bound.pictures, _pixels(latent, cell), region, control.fitting)
    features = run(adapter, prepared.value, device)
    maps = features.maps[: len(sites)]
    for level, (feature, site) in enumerate(zip(maps, sites, strict=False)):
        size = (feature.shape[-2], feature.shape[-1])
        if size != site.size(latent):
            raise AttachError(
                f"Feature {level} of the {control.name} adapter is {size[1]} x {size[0]} and {site.name} is "
                f"{site.size(latent)[1]} x {site.size(latent)[0]} for this latent; use another picture size."
            )
    # Of inf and nan at least one survives a sum, so that one look tells for all maps.
    if not torch.stack([part.float().sum() for part in features.parts]).isfinite().all():
        raise AttachError(
            f"The features of the {control.name} adapter are not finite; its weights are broken, or {adapter.dtype} "
            "is too narrow for them: load it in float32."
        )
    notes = dict.fromkeys((*bound.notes, *prepared.notes))
    mask = _mask(bound, _pixels(latent, cell), region)
    return Computed(Features(maps, features.tokens), mask, prepared.size, tuple(notes))


def _mask(bound: BoundControl, size: tuple[int, int], region: Region | None) -> torch.Tensor | None:
    """Where the control acts in a picture of (height, width) pixels: fitted, and cut, as its picture is."""
    mask, fit = bound.mask, bound.control.fitting
    if mask is None:
        return None
    if region is None:
        return fitted_masks(mask, size, fit)
    width, height = region.picture
    whole = F.interpolate(fitted_masks(mask, (height, width), fit), size=(height, width), mode="area")
    return cut_out(whole, region, size, "picture")


def _pixels(latent: tuple[int, int], cell: float) -> tuple[int, int]:
    return round(latent[0] * cell), round(latent[1] * cell)


def placed(bound: BoundControl, computed: Computed, device: torch.device) -> ControlFeatures:
    """The computed features with the control's weights and its mask on the device."""
    return ControlFeatures(
        bound.control, computed.features, None if computed.mask is None else computed.mask.to(device)
    )


def run(adapter: Adapter, condition: torch.Tensor, device: torch.device) -> Features:
    """The adapter's features on `device`, in its own precision, leaving the adapter where it is."""
    condition = condition.to(device=device, dtype=adapter.dtype)
    # Offloaded adapters bring their weights along themselves.
    if adapter.device == device or hasattr(adapter, "_hf_hook"):
        return adapter(condition)
    weights = {name: value.to(device) for name, value in adapter.state_dict(keep_vars=True).items()}
    return functional_call(adapter, weights, (condition,))
