"""Toyworld as a source: endless scenes with exact condition maps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from armature.data.settings import DataSettings
from armature.data.sources.source import Fingerprint, Sample, Source, SourceFormat, Split
from armature.errors import DatasetError, RecipeError
from armature.files import Digest
from armature.toyworld.layout import plan_scene
from armature.toyworld.maps import pose_map
from armature.toyworld.scene import MINIMUM_SIZE, Scene, scene

NAME = "toyworld"
# Held-out scenes are drawn from here on; training stays below, so that the two never meet.
HELD_OUT = 10_000_000
SCENES = 10_000
KINDS = ("sketch", "canny", "depth", "seg", "openpose", "color")
_LEFT_RIGHT = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)


class ToyworldSource(Source):
    """Scenes 0..count - 1 to train on, then `held_out` scenes from seed 10 000 000 on.

    size: pixels of a side that are wanted; scenes are drawn at 128 at least. kind: of the map that samples carry;
    None, or a kind that scenes have no exact map of, leaves it to be extracted. Poses are learned from scenes with
    people only, one in five: the others are passed over, and the next ones with people taken.
    Raises DatasetError for a count that would reach the held-out scenes.
    """

    def __init__(self, count: int | None, held_out: int, size: int, kind: str | None) -> None:
        self.training = SCENES if count is None else count
        if self.training > HELD_OUT:
            raise DatasetError(f"data.count = {self.training}: toyworld has {HELD_OUT} scenes to train on at most.")
        self.held_out = held_out
        self.drawn = max(size, MINIMUM_SIZE)
        self._kind = kind if kind in KINDS else None
        self._seeds: list[int] | None = None
        if self._kind == "openpose":
            self._seeds = [*_peopled(0, self.training), *_peopled(HELD_OUT, held_out)]

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"toyworld ({self.training} scenes)"

    def __len__(self) -> int:
        return self.training + self.held_out

    def seed(self, index: int) -> int:
        """The seed of a sample's scene."""
        if self._seeds is not None:
            return self._seeds[index]
        return index if index < self.training else HELD_OUT + index - self.training

    def key(self, index: int) -> str:
        """The key of a sample."""
        return f"scene {self.seed(index)}"

    @property
    def has_maps(self) -> bool:
        """Whether scenes carry their exact maps."""
        return self._kind is not None

    @property
    def bucket_step(self) -> int | None:
        """Scenes are square."""
        return 0

    def sizes(self) -> Mapping[int, tuple[int, int]]:
        """Every scene is good, and of one size."""
        return dict.fromkeys(range(len(self)), (self.drawn, self.drawn))

    def split(self, usable: Sequence[int], held_out: int, seed: int) -> Split:
        """Held-out scenes are others than a training of any length draws, whatever the seed."""
        return Split(range(self.training), range(self.training, len(self)))

    def read(self, index: int, *, mapped: bool = True) -> Sample:
        """Draw the scene, and its map if `mapped`."""
        drawn = scene(self.seed(index), self.drawn)
        return Sample(
            key=self.key(index),
            picture=drawn.picture,
            caption=drawn.caption,
            condition=drawn.condition(self._kind) if mapped and self._kind is not None else None,
            mirrored=_mirrored_pose(drawn) if mapped and self._kind == "openpose" else None,
        )

    def fingerprint(self) -> Fingerprint:
        """Of what a few scenes look like today, so that a change of toyworld's drawing is noticed."""
        pictures = Digest(self.training, self.held_out, self.drawn, int(self._seeds is not None))
        maps = Digest(str(self._kind))
        for seed in range(4):
            sample = scene(seed, MINIMUM_SIZE)
            pictures.add(sample.picture.tobytes(), sample.caption)
            if self._kind is not None:
                maps.add(sample.condition(self._kind).tobytes())
        maps.add(pictures.bytes)
        return Fingerprint(pictures.hex, maps.hex)


def _peopled(start: int, count: int) -> list[int]:
    """The first seeds from `start` on whose scenes have people; a plan alone tells, and is made in no time."""
    seeds: list[int] = []
    for seed in itertools.count(start):
        if len(seeds) == count:
            return seeds
        if seed == HELD_OUT - 1:
            raise DatasetError(f"data.count: toyworld has only {len(seeds)} scenes with people; ask for fewer.")
        if any(thing.name == "person" for thing in plan_scene(np.random.default_rng(seed), MINIMUM_SIZE).objects):
            seeds.append(seed)
    return seeds


def _mirrored_pose(drawn: Scene) -> np.ndarray:
    """The pose map of the mirrored scene, in which left and right joints have changed places."""
    size = drawn.plan.size
    # Poses are drawn on a canvas of twice the size, whose pixel p lands on 2 size - 1 - p.
    people = [np.stack([size - 0.5 - joints[:, 0], joints[:, 1]], axis=-1) for joints in drawn.joints]
    return pose_map([joints[list(_LEFT_RIGHT)] for joints in people], size)


def open_toyworld(settings: DataSettings, kind: str) -> ToyworldSource:
    """The scenes that settings ask for, with their exact maps unless an extractor is named."""
    if settings.source != NAME:
        raise RecipeError(f"data.format is toyworld, and data.source {settings.source!r}; give source = 'toyworld'.")
    if settings.conditions is not None:
        raise RecipeError("data.conditions: toyworld has its own exact maps; leave it out.")
    extracted = settings.extractor is not None or bool(settings.extract)
    return ToyworldSource(settings.count, settings.held_out, settings.resolution, None if extracted else kind)


FORMAT = SourceFormat(
    lambda source: float(source == NAME), open_toyworld, exact_kinds=KINDS, endless=True, embedded_style=True
)
