"""A control bound to a U-Net: read and checked when it is attached, computed when the size is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.func import functional_call

from armature.adapters.base import Adapter
from armature.adapters.features import Features
from armature.conditions.contract import InputContract
from armature.conditions.control_map import prepare_control
from armature.conditions.kinds import contract_for
from armature.conditions.picture import read_pixels
from armature.errors import AttachError
from armature.injection.control import Control
from armature.injection.fit import cell_size, check_fit
from armature.injection.mask import read_masks
from armature.injection.mix import Part
from armature.injection.sites import SiteMap


@dataclass(frozen=True, eq=False)
class BoundControl:
    """A control whose adapter fits, whose pictures are read and whose mask is known.

    notes: what reading the pictures showed, as sentences.
    """

    control: Control
    site_map: SiteMap
    contract: InputContract
    pictures: tuple[Any, ...]
    mask: torch.Tensor | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Computed:
    """The features of a bound control at one latent size.

    picture: height and width in pixels at which the adapter saw the control, padding included.
    notes: what was done to the control on its way.
    """

    part: Part
    picture: tuple[int, int]
    notes: tuple[str, ...]


def bind(control: Control, site_map: SiteMap) -> BoundControl:
    """Check a control against a U-Net and read its pictures, so that a call in progress meets no surprise.

    Raises AttachError when the adapter or the mask does not fit, ConditionError for pictures that cannot be used.
    """
    adapter = control.adapter
    check_fit(adapter, site_map, control.name)
    contract = adapter.contract or contract_for(
        None, in_channels=adapter.spec.in_channels, family=adapter.card.family, source=adapter.card.source
    )
    # Files are read now: they may change or vanish before the pipeline runs.
    pictures, notes = [], []
    for picture in control.pictures:
        if isinstance(picture, (str, Path)):
            pixels = read_pixels(picture)
            picture = pixels.values
            notes.extend(pixels.notes)
        prepare_control(picture, contract)
        pictures.append(picture)
    mask = None if control.mask is None else read_masks(control.mask)
    if mask is not None and len(pictures) > 1 and mask.shape[0] not in (1, len(pictures)):
        raise AttachError(
            f"The {control.name} control has {len(pictures)} pictures and {mask.shape[0]} masks; "
            "give one mask, or one per picture."
        )
    return BoundControl(control, site_map, contract, tuple(pictures), mask, tuple(dict.fromkeys(notes)))


@torch.no_grad()
def compute(bound: BoundControl, latent: tuple[int, int], device: torch.device) -> Computed:
    """Run the adapter of a bound control for a latent of the given height and width.

    The picture is fitted to what the latent covers (8 pixels a cell for published adapters); where that is no multiple
    of the adapter's stride, its right and lower edges are continued.
    Raises AttachError when the features have other sizes than the sites, hold tokens, or are not finite.
    """
    control, adapter, sites = bound.control, bound.control.adapter, bound.site_map.all
    cell, stride = cell_size(adapter, bound.site_map), adapter.spec.stride
    size = (round(latent[0] * cell), round(latent[1] * cell))
    prepared = prepare_control(list(bound.pictures), bound.contract, size=(size[1], size[0]))
    needed = tuple(side * stride for side in sites[0].size(latent))
    tensor, notes = prepared.tensor, [*bound.notes, *prepared.notes]
    if needed != size:
        tensor = F.pad(tensor, (0, needed[1] - size[1], 0, needed[0] - size[0]), mode="replicate")
        notes.append(
            f"Padded from {size[1]} x {size[0]} to {needed[1]} x {needed[0]} px, multiples of the adapter's {stride}."
        )
    features = _run(adapter, tensor, device)
    if features.tokens is not None:
        raise AttachError(
            f"The {control.name} adapter gives style tokens, which attach cannot place yet; leave it out."
        )
    for level, (feature, site) in enumerate(zip(features.maps, sites, strict=False)):
        found = (feature.shape[-2], feature.shape[-1])
        if found != site.size(latent):
            raise AttachError(
                f"Feature {level} of the {control.name} adapter is {found[1]} x {found[0]} and {site.name} is "
                f"{site.size(latent)[1]} x {site.size(latent)[0]} for this latent; use another picture size."
            )
    # Of inf and nan at least one survives a sum, so that one look tells for all maps.
    if not torch.stack([feature.float().sum() for feature in features.maps]).isfinite().all():
        raise AttachError(
            f"The features of the {control.name} adapter are not finite; its weights are broken, or {adapter.dtype} "
            "is too narrow for them: load it in float32."
        )
    mask = None if bound.mask is None else bound.mask.to(device)
    return Computed(Part(control, features.maps, mask), (needed[0], needed[1]), tuple(notes))


def _run(adapter: Adapter, tensor: torch.Tensor, device: torch.device) -> Features:
    """The adapter's features on `device`, in its own precision, leaving the adapter where it is."""
    tensor = tensor.to(device=device, dtype=adapter.dtype)
    # Offloaded adapters bring their weights along themselves.
    if adapter.device == device or hasattr(adapter, "_hf_hook"):
        return adapter(tensor)
    weights = {name: value.to(device) for name, value in adapter.state_dict(keep_vars=True).items()}
    return functional_call(adapter, weights, (tensor,))
