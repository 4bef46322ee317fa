"""What one thread's U-Net calls add: features once per pipeline call, sums once per set of active controls."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import torch

from armature.errors import AttachError
from armature.injection.batch import Batch, read_batch
from armature.injection.bound import BoundControl, Computed, compute
from armature.injection.hooks import Addition
from armature.injection.mix import mix
from armature.injection.report import AttachmentReport, ControlReport
from armature.injection.sites import SiteMap
from armature.injection.steps import Run, StepClock, Tick

Plan = tuple[BoundControl, ...]
Additions = tuple[Addition | None, ...]


@dataclass(eq=False)
class CallFacts:
    """What the last U-Net call of any thread showed, for the report."""

    plan: Plan = ()
    run: Run | None = None
    batch: Batch | None = None
    latent: tuple[int, int] | None = None
    dtype: torch.dtype | None = None
    computed: int = 0
    results: dict[int, Computed] = field(default_factory=dict)

    def report(self, target: str, site_map: SiteMap, plan: Plan) -> AttachmentReport:
        """The report of a plan; of facts that belong to an earlier one nothing is told."""
        facts = self if self.plan is plan else CallFacts()
        return AttachmentReport(
            target=target,
            sites=tuple(site.name for site in site_map.all),
            steps=None if facts.run is None else facts.run.count,
            calls=None if facts.run is None else len(facts.run.steps),
            batch=None if facts.batch is None else str(facts.batch),
            latent=facts.latent,
            dtype=None if facts.dtype is None else str(facts.dtype).removeprefix("torch."),
            computed=facts.computed,
            controls=tuple(facts._control(index, bound) for index, bound in enumerate(plan)),
        )

    def _control(self, index: int, bound: BoundControl) -> ControlReport:
        control, result = bound.control, self.results.get(index)
        active = calls = None
        if self.run is not None and not control.silent:
            on = [step for step in self.run.steps if control.active(step, self.run.count)]
            active, calls = tuple(dict.fromkeys(on)), len(on)
        notes = () if result is None else result.notes
        return ControlReport(
            name=control.name,
            weights=control.level_weights,
            active=active,
            calls=calls,
            picture=None if result is None else result.picture,
            maps=() if result is None else tuple((m.shape[-2], m.shape[-1]) for m in result.part.maps),
            dtype=str(control.adapter.dtype).removeprefix("torch."),
            notes=("Its weights are 0: it adds nothing.",) if control.silent else notes,
        )


class CallState(threading.local):
    """The additions of the U-Net call that this thread is in; every thread has its own."""

    def __init__(self, pipeline: Any, site_map: SiteMap) -> None:
        self._pipeline = pipeline
        self._site_map = site_map
        self._nothing: Additions = (None,) * len(site_map.all)
        self._additions = self._nothing
        self._clock = StepClock()
        self._sums: dict[Any, Additions] = {}
        self.facts = CallFacts()

    def read(self, index: int) -> Addition | None:
        """What site `index` adds now."""
        return self._additions[index]

    def clear(self) -> None:
        """Add nothing."""
        self._additions = self._nothing

    def begin(self, plan: Plan, sample: torch.Tensor, timestep: Any) -> None:
        """Set what the sites add during the U-Net call with these inputs."""
        tick = None if self._pipeline is None else self._clock.tick(self._pipeline, timestep)
        latent = (sample.shape[-2], sample.shape[-1])
        batch = read_batch(self._pipeline, sample)
        facts = self.facts
        if facts.plan is not plan or facts.latent != latent or (tick is not None and tick.fresh):
            self._compute(plan, latent, sample, tick)
        facts = self.facts
        facts.batch, facts.dtype = batch, sample.dtype
        active = tuple(i for i in facts.results if tick is None or plan[i].control.active(tick.step, tick.run.count))
        key = (active, batch, sample.dtype, sample.device)
        if key not in self._sums:
            parts = [facts.results[index].part for index in active]
            levels = range(len(self._site_map.all))
            self._sums[key] = tuple(mix(parts, level, batch, sample) for level in levels)
        self._additions = self._sums[key]

    def _compute(self, plan: Plan, latent: tuple[int, int], sample: torch.Tensor, tick: Tick | None) -> None:
        """Run the adapters of all controls that will act."""
        run = None if tick is None else tick.run
        for bound in plan:
            _check_window(bound, run)
        self._sums = {}
        computed = self.facts.computed if self.facts.plan is plan else 0
        self.facts = CallFacts()
        results = {
            index: compute(bound, latent, sample.device) for index, bound in enumerate(plan) if not bound.control.silent
        }
        self.facts = CallFacts(plan, run, None, latent, sample.dtype, computed + 1, results)


def _check_window(bound: BoundControl, run: Run | None) -> None:
    control = bound.control
    if control.silent or control.always:
        return
    if run is None:
        raise AttachError(
            f"The {control.name} control acts from start={control.start:g} to end={control.end:g}, and this U-Net call "
            "belongs to no step of a pipeline; attach to the pipeline and call that, or leave start and end out."
        )
    if not any(control.active(step, run.count) for step in run.steps):
        raise AttachError(
            f"The {control.name} control from start={control.start:g} to end={control.end:g} falls on none of the "
            f"{run.count} steps of this call; widen it, run more steps, or leave the control out."
        )
