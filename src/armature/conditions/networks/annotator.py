"""The embedded annotator: one small network that says what is in a picture of toyworld."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from armature.embedded.paths import annotator_path
from armature.errors import ConditionError
from armature.toyworld.palette import CLASS_INDEX, CLASSES, COLOUR_NAMES

JOINTS = 18
# What a network knows whose file does not say so: the first 18 classes and 9 colours of toyworld's palette.
_FIRST_CLASSES, _FIRST_COLOURS = 18, 9


@dataclass(frozen=True)
class Raw:
    """Network outputs. classes (n, C, h, w) and colours (n, 1 + K, h, w): logits; depth (n, h, w): 0..1, near is 1.

    heat: (n, 18, h/2, w/2) logits, one map a joint.
    """

    classes: Tensor
    colours: Tensor
    depth: Tensor
    heat: Tensor


@dataclass(frozen=True)
class Person:
    """One person found. joints: (18, 2) pixels (x, y). confidence: (18,) 0..1."""

    joints: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Annotation:
    """What is in one picture. classes, colours: (h, w) uint8 as in toyworld's Scene; depth: (h, w) float 0..1."""

    classes: np.ndarray
    colours: np.ndarray
    depth: np.ndarray
    people: tuple[Person, ...]


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(x)) + x)


class Annotator(nn.Module):
    """U-shaped network, 128-pixel pictures in, class, colour, depth and joints out.

    classes, colours: how many of toyworld's palette it tells apart, the first ones: those that its weights were trained
    on, which later worlds only add to. forward: (n, 3, h, w) float 0..1, h and w multiples of 16 -> Raw.
    """

    def __init__(
        self,
        classes: int = len(CLASSES),
        colours: int = len(COLOUR_NAMES),
        widths: tuple[int, ...] = (24, 48, 80, 112),
    ) -> None:
        super().__init__()
        self.classes, self.colours = classes, colours
        self.down = nn.ModuleList(
            _Block(inputs, outputs, 2) for inputs, outputs in zip((3, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(
            _Block(low + high, high) for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.dense = nn.Conv2d(widths[0], 4 * (classes + 1 + colours + 1), 1)
        self.heat = nn.Conv2d(widths[0], JOINTS, 1)

    def forward(self, pictures: Tensor) -> Raw:
        """(n, 3, h, w) float 0..1 -> Raw."""
        x = pictures * 2 - 1
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], 1))
        dense = F.pixel_shuffle(self.dense(x), 2)
        classes, colours, depth = dense.split((self.classes, 1 + self.colours, 1), 1)
        return Raw(classes, colours, depth.squeeze(1).sigmoid(), self.heat(x))

    @torch.no_grad()
    def annotate(self, pictures: np.ndarray) -> list[Annotation]:
        """Say what is in each picture.

        pictures: (n, h, w, 3) uint8 RGB, h and w multiples of 16. Raises ConditionError for any other shape or type.
        """
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
            raise ConditionError(
                f"The annotator was given an array of shape {pictures.shape} and type {pictures.dtype}; "
                "expected (n, h, w, 3) uint8 RGB."
            )
        if pictures.shape[1] % 16 or pictures.shape[2] % 16:
            raise ConditionError(
                f"The annotator was given pictures of {pictures.shape[2]} x {pictures.shape[1]} pixels; "
                "both sides must be multiples of 16: resize or pad them first."
            )
        parameter = next(self.parameters())
        x = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).to(parameter) / 255
        raw = self(x)
        classes = raw.classes.argmax(1).byte().cpu().numpy()
        colours = raw.colours.argmax(1).byte().cpu().numpy()
        depth = raw.depth.float().cpu().numpy()
        heat = raw.heat.sigmoid().float().cpu().numpy()
        return [
            Annotation(classes[i], colours[i], depth[i], tuple(_people(classes[i], heat[i])))
            for i in range(len(pictures))
        ]


def _people(classes: np.ndarray, heat: np.ndarray) -> list[Person]:
    """Joints of each connected person: the hottest spot of every joint within reach of the figure."""
    mask = (classes == CLASS_INDEX["person"]).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(mask, np.ones((3, 3), np.uint8)))
    people = []
    for label in range(1, count):
        # Under this area no skeleton can be read: crumbs of a misjudged object, mostly.
        if stats[label, cv2.CC_STAT_AREA] < 0.004 * mask.size:
            continue
        figure = (labels == label).astype(np.uint8)
        reach = cv2.dilate(
            cv2.resize(figure, heat.shape[:0:-1], interpolation=cv2.INTER_NEAREST), np.ones((3, 3), np.uint8)
        )
        joints, confidence = np.zeros((JOINTS, 2)), np.zeros(JOINTS)
        for joint in range(JOINTS):
            spot = np.where(reach > 0, heat[joint], 0.0)
            y, x = np.unravel_index(int(spot.argmax()), spot.shape)
            y0, x0 = max(0, y - 1), max(0, x - 1)
            patch = spot[y0 : y + 2, x0 : x + 2]
            rows, columns = np.mgrid[y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]]
            total = float(patch.sum()) or 1.0
            joints[joint] = ((columns * patch).sum() / total * 2 + 1, (rows * patch).sum() / total * 2 + 1)
            confidence[joint] = spot[y, x]
        people.append(Person(joints, confidence))
    return people


@cache
def load_network() -> Annotator:
    """The shipped network, in float32 on the CPU, ready to use. CheckpointError when its weights are missing."""
    path = annotator_path()
    with safe_open(path, "pt") as file:
        said = file.metadata() or {}
    annotator = Annotator(int(said.get("classes", _FIRST_CLASSES)), int(said.get("colours", _FIRST_COLOURS)))
    annotator.load_state_dict(
        {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}
    )
    return annotator.eval()
