"""The passes of an evaluation: the same samples without the adapter, with it, and as well as the base can show them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from armature.adapters.base import Adapter
from armature.adapters.features import Features
from armature.bases.latents import through_autoencoder
from armature.bases.text import TextEncoders
from armature.conditions.contract import InputContract
from armature.data.encoding.batch import control_tensor, stack_controls
from armature.evaluation.sampler import PictureSampler
from armature.evaluation.samples import Chosen

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Passes:
    """Pictures (h, w, 3) uint8 of all samples by pass ("without", "with", "ceiling", "true"), and seconds spent."""

    pictures: Mapping[str, list[np.ndarray]]
    seconds: Mapping[str, float]


def run_passes(
    sampler: PictureSampler,
    adapter: Adapter,
    contract: InputContract,
    chosen: Chosen,
    *,
    weight: float,
    seed: int,
    batch: int,
    progress: Progress | None,
) -> Passes:
    """Draw everything that is to be compared. Sample k has the seed `seed` + k, and the same noise in both passes.

    adapter: goes to the U-Net's device, in evaluation mode. batch: pictures drawn together. progress: called with
    (done, all) pictures.
    """
    tell = _Teller(progress, 3 * len(chosen.frames))
    pictures = {"true": [frame.pixels for frame in chosen.frames]}
    seconds: dict[str, float] = {}
    for name, strength in (("without", 0.0), ("with", weight)):
        began = time.monotonic()
        pictures[name] = _drawn(sampler, adapter, contract, chosen, strength, seed, batch, tell)
        seconds[name] = round(time.monotonic() - began, 2)
    began = time.monotonic()
    vae = sampler.base.autoencoder()
    pictures["ceiling"] = [tell.after(through_autoencoder(vae, frame.pixels)) for frame in chosen.frames]
    seconds["ceiling"] = round(time.monotonic() - began, 2)
    return Passes(pictures, seconds)


def scaled(features: Features, weight: float) -> Features | None:
    """The features times a weight; None, which leaves the base alone bit for bit, for 0."""
    return None if weight == 0 else features.scaled(weight)


@torch.no_grad()
def _drawn(
    sampler: PictureSampler,
    adapter: Adapter,
    contract: InputContract,
    chosen: Chosen,
    weight: float,
    seed: int,
    batch: int,
    tell: _Teller,
) -> list[np.ndarray]:
    drawn: dict[int, np.ndarray] = {}
    base = sampler.base
    adapter = adapter.to(base.pipeline.unet.device).eval()
    texts = TextEncoders(base.pipeline, base.family)
    empty = texts.empty()
    for positions in chosen.batches(batch):
        frames = [chosen.frames[position] for position in positions]
        maps = torch.from_numpy(stack_controls([frame.control for frame in frames]))
        control = control_tensor(maps, contract, adapter.device).to(adapter.dtype)
        features = scaled(adapter(control), weight)
        text = texts.texts([frame.caption for frame in frames])
        size = (frames[0].pixels.shape[1], frames[0].pixels.shape[0])
        made = sampler.sample(text, empty, features, size, [seed + position for position in positions])
        drawn |= dict(zip(positions, made, strict=True))
        tell.add(len(made))
    return [drawn[position] for position in range(len(chosen.frames))]


class _Teller:
    """Counts finished pictures for the caller's progress bar."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)

    def after(self, picture: np.ndarray) -> np.ndarray:
        self.add(1)
        return picture
