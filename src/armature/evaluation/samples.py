"""Which samples an evaluation asks: held-out ones whose control says something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from armature.bases.families import Family
from armature.conditions.contract import InputContract
from armature.data.samples.dataset import open_dataset
from armature.data.samples.sample import CroppedSample, CroppedSamples
from armature.data.settings import DataSettings
from armature.data.sources.open import format_of
from armature.data.sources.source import BadSampleError
from armature.errors import DatasetError
from armature.evaluation.fidelity import Measure
from armature.evaluation.measure_for import settled
from armature.toyworld.scene import MINIMUM_SIZE, Scene, scene

# Controls that say nothing are passed over; few do, since poses come from scenes with people alone.
SCENES_FOR_ONE = 2


@dataclass(frozen=True, eq=False)
class Chosen:
    """The samples of an evaluation.

    frames: in the data's order. skipped: how many were passed over because their control says nothing (a pose without
    people). bad: what was wrong with those that could not be read.
    """

    frames: tuple[CroppedSample, ...]
    skipped: int
    bad: tuple[str, ...]

    def batches(self, size: int) -> Iterator[list[int]]:
        """Positions of samples of one frame size, at most `size` together."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, frame in enumerate(self.frames):
            groups.setdefault(frame.pixels.shape[:2], []).append(index)
        for group in groups.values():
            yield from (group[start : start + size] for start in range(0, len(group), size))


def open_samples(
    settings: DataSettings, *, kind: str, contract: InputContract, family: Family, stride: int, count: int
) -> CroppedSamples:
    """The data that settings describe, framed without chance: cut from the middle, not mirrored, not roughened.

    Of an endless source (toyworld) only held-out samples are asked, with some in reserve; of others all. stride: of
    adapter and autoencoder together. Raises what open_dataset raises.
    """
    held_out = SCENES_FOR_ONE * count if format_of(settings).endless else 0
    changes = {"crop": "centre", "flip": "never", "hand_drawn": 0.0, "extract": settled(settings)}
    fixed = settings.model_copy(update={**changes, "held_out": held_out})
    return open_dataset(fixed, kind=kind, contract=contract, family=family, stride=stride, seed=0)


def choose(data: CroppedSamples, measure: Measure, count: int) -> Chosen:
    """The first `count` held-out samples, or of all samples where none are held out, that the measure can ask.

    Raises DatasetError when there is none.
    """
    frames: list[CroppedSample] = []
    bad: list[str] = []
    skipped = 0
    for index in data.held_out or data.training:
        if len(frames) == count:
            break
        try:
            frame = data.load(index)
        except BadSampleError as error:
            bad.append(str(error))
            continue
        if measure.has_content(frame.control):
            frames.append(frame)
        else:
            skipped += 1
    if not frames:
        why = f" The first that could not be read: {bad[0]}" if bad else ""
        raise DatasetError(
            f"{data.name} has no sample to evaluate: {skipped} controls say nothing, {len(bad)} samples are bad. "
            f"Give pictures that show what the kind of control describes.{why}"
        )
    return Chosen(tuple(frames), skipped, tuple(bad))


def scenes_behind(frames: tuple[CroppedSample, ...]) -> list[Scene] | None:
    """The scenes of toyworld that the frames show, or None when one of them shows no scene."""
    found = []
    for frame in frames:
        seed = "".join(letter if letter.isdigit() else " " for letter in frame.key).split()
        height, width = frame.pixels.shape[:2]
        if not seed or height != width or height < MINIMUM_SIZE:
            return None
        drawn = scene(int(seed[-1]), height)
        # A folder may have numbers for names too: the pixels decide.
        if not np.array_equal(drawn.picture, frame.pixels):
            return None
        found.append(drawn)
    return found
