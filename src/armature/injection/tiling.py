"""Pipelines that run the U-Net on windows of a larger latent: every window gets its own part of the features."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from armature.adapters.features import Features
from armature.injection.caller import View, Views
from armature.injection.context import ContextAddition
from armature.injection.hooks import Addition
from armature.injection.layout import BatchLayout
from armature.injection.mask import mask_at
from armature.injection.mix import ControlFeatures, mix, mix_tokens
from armature.injection.sites import Site


def tiled_additions(
    parts: Sequence[ControlFeatures], sites: Sequence[Site], views: Views, batch: BatchLayout, like: torch.Tensor
) -> tuple[Addition | None, ...]:
    """What every site adds in a call on windows.

    parts: features for the whole latent. batch: the rows of one window; the call's rows are windows, then images, then
    guidance copies. like: a tensor of the device and precision wanted.
    Source: MultiDiffusion, as diffusers' panorama pipeline has it.
    """
    masked = [_masked(part) for part in parts]
    windows = [[_window(part, view, views, sites) for part in masked] for view in views.views]
    added: list[Addition | None] = []
    for level in range(len(sites)):
        one_each = [mix(window, level, batch, like) for window in windows]
        rows = [_rows(one, batch) for one in one_each if one is not None]
        added.append(Addition(torch.cat(rows)) if rows else None)
    return tuple(added)


def tiled_tokens(parts: Sequence[ControlFeatures], views: Views, batch: BatchLayout) -> tuple[ContextAddition, ...]:
    """The tokens in a call on windows, the same for each."""
    count = batch.copies * batch.images
    order = torch.arange(count).view(batch.copies, batch.images).T.flatten().repeat(len(views.views))
    return tuple(
        ContextAddition(
            one.tokens.expand(count, -1, -1)[order.to(one.tokens.device)], None if one.rows is None else one.rows[order]
        )
        for one in mix_tokens(parts, batch, count)
    )


def _masked(part: ControlFeatures) -> ControlFeatures:
    """The same control with its mask in its maps: of the whole picture, the mask is averaged before it is cut."""
    mask = part.mask
    if mask is None:
        return part
    maps = tuple(
        feature * mask_at(mask, (feature.shape[-2], feature.shape[-1])).to(feature) for feature in part.features.maps
    )
    return ControlFeatures(part.control, Features(maps, part.features.tokens))


def _window(part: ControlFeatures, view: View, views: Views, sites: Sequence[Site]) -> ControlFeatures:
    if not part.features.maps:
        return part
    maps = tuple(
        _cut(feature, view, views.latent, site) for feature, site in zip(part.features.maps, sites, strict=False)
    )
    return ControlFeatures(part.control, Features(maps, part.features.tokens))


def _cut(feature: torch.Tensor, view: View, latent: tuple[int, int], site: Site) -> torch.Tensor:
    """The part of a map that a window of the latent covers; over the right edge it goes on at the left."""
    top, bottom, left, right = view
    # Windows are cut off at the lower edge, and at the right one unless the picture goes around.
    bottom = min(bottom, latent[0])
    around = right > latent[1] and left > 0
    height, width = site.size((bottom - top, (right if around else min(right, latent[1])) - left))
    cell = 2**site.halvings
    rows = torch.arange(top // cell, top // cell + height, device=feature.device)
    columns = torch.arange(left // cell, left // cell + width, device=feature.device) % feature.shape[-1]
    return feature.index_select(-2, rows.clamp(max=feature.shape[-2] - 1)).index_select(-1, columns)


def _rows(addition: Addition, batch: BatchLayout) -> torch.Tensor:
    """What every row of one window gets, images outside and guidance copies inside."""
    value, rest = addition.value, addition.value.shape[-3:]
    if addition.split is None:
        return value.expand(batch.images * batch.copies, *rest)
    whole = value.expand(*addition.split, *rest).reshape(batch.copies, batch.images, *rest)
    return whole.transpose(0, 1).flatten(0, 1)
