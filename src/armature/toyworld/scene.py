"""scene(seed) -> Scene: a procedural captioned picture with its exact condition maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from armature.toyworld.backdrop import draw_backdrop
from armature.toyworld.canvas import Canvas
from armature.toyworld.caption import caption
from armature.toyworld.layout import Placed, Plan, plan_scene
from armature.toyworld.maps import (
    FIRST_OBJECT,
    class_map,
    colour_map,
    depth_map,
    palette_map,
    pose_map,
    seg_picture,
)
from armature.toyworld.painter import paint_object
from armature.toyworld.style import Look

MINIMUM_SIZE = 128


@dataclass(frozen=True)
class Scene:
    """One scene of toyworld; every array is (size, size[, 3]) uint8.

    picture: RGB. caption: one English sentence. plan: what stands where. joints: one (18, 2) array of pixel
    coordinates (x, y) per person, in palette order of the usual 18 joints.
    depth: near is bright, 0 is sky. classes: numbers of palette.CLASSES. colours: 0 or 1 + number of palette.COLOURS.
    sketch, canny: 0 or 255, white lines on black; canny also has small details.
    """

    seed: int
    picture: np.ndarray
    caption: str
    plan: Plan
    joints: tuple[np.ndarray, ...]
    depth: np.ndarray
    classes: np.ndarray
    colours: np.ndarray
    sketch: np.ndarray
    canny: np.ndarray

    @property
    def objects(self) -> tuple[Placed, ...]:
        """The objects, far to near."""
        return self.plan.objects

    @property
    def image(self) -> Image.Image:
        """The picture as a PIL image."""
        return Image.fromarray(self.picture)

    @property
    def seg(self) -> np.ndarray:
        """Segmentation in the documented palette, RGB."""
        return seg_picture(self.classes)

    @property
    def openpose(self) -> np.ndarray:
        """The people's skeletons in the usual limb colours on black, RGB; all black without people."""
        return pose_map(list(self.joints), self.plan.size)

    @property
    def color(self) -> np.ndarray:
        """The palette map: 8 x 8 flat patches, RGB."""
        return palette_map(self.picture)

    def condition(self, kind: str) -> np.ndarray:
        """The condition map of a kind: depth, seg, openpose, sketch, canny or color. KeyError for any other."""
        return {
            "depth": lambda: self.depth,
            "seg": lambda: self.seg,
            "openpose": lambda: self.openpose,
            "sketch": lambda: self.sketch,
            "canny": lambda: self.canny,
            "color": lambda: self.color,
        }[kind]()


def scene(seed: int, size: int = 128) -> Scene:
    """The scene of a seed: the same arguments always give the same scene.

    size: pixels of a side, at least 128 (ValueError below).
    """
    if size < MINIMUM_SIZE:
        raise ValueError(f"A scene of {size} pixels was asked for; toyworld draws from {MINIMUM_SIZE} pixels up.")
    rng = np.random.default_rng(seed)
    plan = plan_scene(rng, size)
    look = Look(plan.style, plan.time)
    canvas = Canvas(size)
    draw_backdrop(canvas, plan, look)
    joints = [paint_object(canvas, thing, FIRST_OBJECT + index, look) for index, thing in enumerate(plan.objects)]
    owner = canvas.labels()
    picture = look.finish(canvas.picture())
    return Scene(
        seed=seed,
        picture=picture,
        caption=caption(plan, rng),
        plan=plan,
        joints=tuple(j for j in joints if j is not None),
        depth=depth_map(owner, plan),
        classes=class_map(owner, plan),
        colours=colour_map(owner, plan),
        sketch=canvas.lines(canvas.sketch),
        canny=canvas.lines(canvas.edges),
    )
