"""Which pipeline makes the U-Net call that is under way, and which part of its picture the call works on.

Pipelines hand the U-Net tensors alone, and several may share one. What else there is to know stands in the variables of
the pipeline's own call, which is found on this thread's stack; nothing of the pipeline is touched.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import nn

from armature.adapters.region import Region
from armature.bases.unet import plain_module
from armature.errors import AttachError

View = tuple[int, int, int, int]

# Pipelines that run the U-Net on windows of a larger latent, and the variables that hold the windows of a call, (top,
# bottom, left, right) in latent cells, and the whole latent.
_TILED: dict[str, tuple[str, str]] = {"StableDiffusionPanoramaPipeline": ("batch_view", "latents")}
# The variable of tiled pipelines that says whether guidance is at work.
_GUIDED = "do_classifier_free_guidance"
# The variables of diffusers' inpainting pipelines for padding_mask_crop: the box, and the picture that it lies in.
_BOX, _PICTURE = "crops_coords", "original_image"


@dataclass(frozen=True)
class Views:
    """The windows of a U-Net call on a larger latent.

    views: (top, bottom, left, right) in cells, each filling as many rows as there are images and guidance copies.
    latent: (height, width) of the whole in cells; a window over its right edge goes on at the left.
    guided: whether the rows hold an unconditional copy: diffusers' panorama pipeline denies it by its property, and
        guides all the same.
    """

    views: tuple[View, ...]
    latent: tuple[int, int]
    guided: bool = False


@dataclass(frozen=True, eq=False)
class Caller:
    """What the pipeline's call knows.

    pipeline: that calls, or None for a call from outside any. timesteps: those that it runs through, where the
    scheduler's own change meanwhile. region: the part of the picture that is generated. views: of a tiled pipeline.
    """

    pipeline: Any
    timesteps: torch.Tensor | None = None
    region: Region | None = None
    views: Views | None = None


def find_caller(unet: nn.Module, attached: Any) -> Caller:
    """Who calls a U-Net right now, on this thread.

    attached: the pipeline that controls were attached to; taken where no pipeline with this U-Net is on the stack (a
    loop of the user's own), and None for a bare U-Net, whose callers are not asked.
    Raises AttachError for a pipeline that works on windows which cannot be told.
    """
    if attached is None:
        return Caller(None)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _is_pipeline(_owner(frame), unet):
        frame = frame.f_back
    if frame is None:
        return Caller(attached)
    pipeline, named = _owner(frame), frame.f_locals
    check_tiling(pipeline)
    tiled = _tiled(pipeline)
    if tiled is None:
        return Caller(pipeline, region=_region(named))
    views, latents = (named.get(name) for name in tiled)
    if not views or not isinstance(latents, torch.Tensor):
        raise _untold(pipeline)
    whole = (latents.shape[-2], latents.shape[-1])
    return Caller(
        pipeline, named.get("timesteps"), None, Views(tuple(map(tuple, views)), whole, bool(named.get(_GUIDED)))
    )


def check_tiling(pipeline: Any) -> None:
    """Raise AttachError for a pipeline that runs its U-Net on windows of which nothing is known here."""
    if _tiled(pipeline) is None and callable(getattr(type(pipeline), "get_views", None)):
        raise _untold(pipeline)


def calls(pipeline: Any) -> bool:
    """Whether a call of this very pipeline is under way on this thread."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__call__" and _owner(frame) is pipeline:
            return True
        frame = frame.f_back
    return False


def _tiled(pipeline: Any) -> tuple[str, str] | None:
    return next((_TILED[kind.__name__] for kind in type(pipeline).__mro__ if kind.__name__ in _TILED), None)


def _untold(pipeline: Any) -> AttachError:
    return AttachError(
        f"{type(pipeline).__name__} runs its U-Net on windows of the picture, and which ones cannot be told; features "
        f"would not meet their places. Tiled pipelines that work: {', '.join(_TILED)}."
    )


def _owner(frame: FrameType) -> Any:
    """The object whose method a frame runs, or None."""
    code = frame.f_code
    if not code.co_argcount or code.co_varnames[0] != "self":
        return None
    return frame.f_locals.get("self")


def _is_pipeline(thing: Any, unet: nn.Module) -> bool:
    if thing is None or isinstance(thing, nn.Module) or not hasattr(thing, "scheduler"):
        return False
    own = getattr(thing, "unet", None)
    return isinstance(own, nn.Module) and plain_module(own) is unet


def _region(named: Mapping[str, Any]) -> Region | None:
    """The box of inpainting's padding_mask_crop, or None."""
    box, picture = named.get(_BOX), named.get(_PICTURE)
    size = getattr(picture, "size", None)
    if box is None or not isinstance(size, tuple):
        return None
    left, top, right, bottom = (int(side) for side in box)
    return Region((left, top, right, bottom), (int(size[0]), int(size[1])))
