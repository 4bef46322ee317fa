"""The part of a picture that a pipeline works on, cut out of a condition just as the pipeline cuts its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from armature.conditions.picture.fit import Content, resize


@dataclass(frozen=True)
class Region:
    """A box in a picture, which fills the whole of what is generated.

    box: (left, top, right, bottom) in pixels. picture: (width, height) in pixels of what the box is cut from.
    """

    box: tuple[int, int, int, int]
    picture: tuple[int, int]

    def __str__(self) -> str:
        left, top, right, bottom = self.box
        return f"{right - left} x {bottom - top} px at ({left}, {top}) of {self.picture[0]} x {self.picture[1]}"


def cut_out(values: torch.Tensor, region: Region, size: tuple[int, int], content: Content) -> torch.Tensor:
    """The region of maps of the picture's size, brought to `size` (height, width).

    values: (n, channels, height, width) in 0..1. content: what pixels mean, and so how they are resized.
    The proportions are kept; where the box has others than `size`, its edges are continued.
    Source: diffusers' VaeImageProcessor, resize_mode "fill", which inpainting with padding_mask_crop uses.
    """
    left, top, right, bottom = region.box
    part = values[..., top:bottom, left:right]
    height, width = size
    tall, wide = part.shape[-2:]
    inner_w = width if width * tall < wide * height else wide * height // tall
    inner_h = height if width * tall >= wide * height else tall * width // wide
    inner = (max(1, inner_h), max(1, inner_w))
    resized = [resize(np.ascontiguousarray(one.permute(1, 2, 0).numpy()), inner, content) for one in part]
    stacked = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
    before_w, before_h = width // 2 - inner[1] // 2, height // 2 - inner[0] // 2
    edges = (before_w, width - inner[1] - before_w, before_h, height - inner[0] - before_h)
    return F.pad(stacked, edges, mode="replicate").contiguous() if any(edges) else stacked.contiguous()
