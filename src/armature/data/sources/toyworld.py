"""Toyworld as a source: endless scenes with exact condition maps."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np

from armature.data.sources.bad import Problem
from armature.data.sources.source import Fingerprint, Sample
from armature.errors import DatasetError
from armature.toyworld.layout import plan_scene
from armature.toyworld.maps import pose_map
from armature.toyworld.scene import MINIMUM_SIZE, Scene, scene

# Held-out scenes are drawn from here on; training stays below, so that the two never meet.
HELD_OUT = 10_000_000
SCENES = 10_000
KINDS = ("sketch", "canny", "depth", "seg", "openpose", "color")
_LEFT_RIGHT = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)


class ToyworldSource:
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

    def problem(self, index: int) -> Problem | None:
        """Scenes have none."""
        return None

    def size(self, index: int) -> tuple[int, int]:
        """(width, height) of every scene."""
        return (self.drawn, self.drawn)

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
        pictures, maps = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
        pictures.update(f"{self.training} {self.held_out} {self.drawn} {self._seeds is not None}".encode())
        maps.update(f"{self._kind}".encode())
        for seed in range(4):
            sample = scene(seed, MINIMUM_SIZE)
            pictures.update(sample.picture.tobytes() + sample.caption.encode())
            if self._kind is not None:
                maps.update(sample.condition(self._kind).tobytes())
        maps.update(pictures.digest())
        return Fingerprint(pictures.hexdigest(), maps.hexdigest())


def _peopled(start: int, count: int) -> list[int]:
    """The first seeds from `start` on whose scenes have people; a plan alone tells, and is made in no time."""
    found: list[int] = []
    for seed in itertools.count(start):
        if len(found) == count:
            return found
        if seed == HELD_OUT - 1:
            raise DatasetError(f"data.count: toyworld has only {len(found)} scenes with people; ask for fewer.")
        if any(thing.name == "person" for thing in plan_scene(np.random.default_rng(seed), MINIMUM_SIZE).objects):
            found.append(seed)
    return found


def _mirrored_pose(drawn: Scene) -> np.ndarray:
    """The pose map of the mirrored scene, in which left and right joints have changed places."""
    size = drawn.plan.size
    # Poses are drawn on a canvas of twice the size, whose pixel p lands on 2 size - 1 - p.
    people = [np.stack([size - 0.5 - joints[:, 0], joints[:, 1]], axis=-1) for joints in drawn.joints]
    return pose_map([joints[list(_LEFT_RIGHT)] for joints in people], size)
