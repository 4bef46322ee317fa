"""Which step of which pipeline call a U-Net call belongs to, read off the scheduler's own timesteps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch


@dataclass(frozen=True)
class Run:
    """The steps that one call of a pipeline runs.

    begin: position of its first U-Net call in scheduler.timesteps; image-to-image starts late.
    steps: for every U-Net call, the step that it belongs to, from 0. Samplers of order 2 have two calls a step.
    """

    begin: int
    steps: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of steps."""
        return self.steps[-1] + 1


@dataclass(frozen=True)
class StepPosition:
    """One U-Net call, placed: the run, the step in it, and whether a new pipeline call began here."""

    run: Run
    step: int
    fresh: bool


class StepTracker:
    """Follows the calls of a U-Net through the scheduler's timesteps.

    Nothing of the pipeline or the scheduler is touched. A new pipeline call is one whose scheduler has new timesteps
    (every call sets them anew) or whose position went back.
    """

    def __init__(self) -> None:
        self._timesteps: torch.Tensor | None = None
        self._run: Run | None = None
        self._position = -1

    def locate(self, pipeline: Any, timestep: Any, timesteps: Any = None) -> StepPosition | None:
        """Place a U-Net call among the scheduler's timesteps, or those given.

        Returns None when its timestep is none of them (a call from outside a pipeline).
        """
        scheduler = getattr(pipeline, "scheduler", None)
        timesteps = getattr(scheduler, "timesteps", None) if timesteps is None else timesteps
        if not isinstance(timesteps, torch.Tensor) or timesteps.ndim != 1 or not timesteps.numel():
            return None
        same = self._timesteps is not None and _storage(timesteps) == _storage(self._timesteps)
        begin = _begin_index(scheduler)
        position = _position(timesteps, timestep, self._position if same else (begin or 0) - 1)
        if position is None:
            return None
        run, fresh = self._run, not same or position < self._position
        if run is None or fresh or position - run.begin >= len(run.steps):
            run = plan_run(scheduler, timesteps, position, _planned(pipeline))
        # The tensor is kept: its memory, by which it is recognised, must not be given to another one meanwhile.
        self._timesteps, self._run, self._position = timesteps, run, position
        return StepPosition(run, run.steps[position - run.begin], fresh)


def plan_run(scheduler: Any, timesteps: torch.Tensor, position: int, planned: int | None) -> Run:
    """The run whose first U-Net call is at `position` of the timesteps.

    planned: number of U-Net calls where the pipeline stops before the end (SDXL's denoising_end), else None.
    """
    begin = _begin_index(scheduler)
    if begin is None or begin > position:
        begin = position
    calls = len(timesteps) - begin
    if planned is not None and position - begin < planned <= calls:
        calls = planned
    order = int(getattr(scheduler, "order", 1))
    if order > 1:
        return Run(begin, tuple(call // order for call in range(calls)))
    if len(timesteps) == getattr(scheduler, "num_inference_steps", None):
        return Run(begin, tuple(range(calls)))
    # PNDM repeats a timestep to warm up: the repetition is part of the same step.
    values = timesteps[begin : begin + calls].tolist()
    steps = [0]
    for before, now in pairwise(values):
        steps.append(steps[-1] + (now != before))
    return Run(begin, tuple(steps))


def _planned(pipeline: Any) -> int | None:
    """How many U-Net calls the pipeline makes where it does not go to the last timestep."""
    if getattr(pipeline, "_denoising_end", None) is None:
        return None
    return getattr(pipeline, "_num_timesteps", None)


def _begin_index(scheduler: Any) -> int | None:
    """Where the pipeline told the scheduler to begin; few samplers keep it, and only some pipelines tell."""
    return getattr(scheduler, "_begin_index", None)


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _position(timesteps: torch.Tensor, timestep: Any, last: int) -> int | None:
    """Position of a timestep among the scheduler's.

    Pipelines iterate over the scheduler's tensor and hand the U-Net views of it, whose offset tells the position
    exactly and without waiting for the device. Otherwise the values are compared, onwards from the `last` position.
    """
    if isinstance(timestep, torch.Tensor):
        if _storage(timestep) == _storage(timesteps) and timestep.dtype == timesteps.dtype:
            return (timestep.storage_offset() - timesteps.storage_offset()) // timesteps.stride(0)
        timestep = timestep.flatten()[0].item()
    values = timesteps.tolist()
    # The next one first, so that a repeated timestep follows its twin; then the same one, for a U-Net that is called
    # twice on one step; then those ahead, then those behind.
    for position in (last + 1, *range(max(last, 0), len(values)), *range(max(last, 0))):
        if position < len(values) and values[position] == timestep:
            return position
    return None
