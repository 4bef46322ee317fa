"""What one thread's U-Net calls add: features once per pipeline call, sums once per set of active controls."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import torch

from armature.adapters.networks.fuser import FuserAdapter
from armature.adapters.region import Region
from armature.errors import AttachError
from armature.injection.bound import BoundControl, Computed, compute, placed
from armature.injection.caller import Caller, Views
from armature.injection.context import ContextAddition
from armature.injection.fuse import fused
from armature.injection.hooks import Addition
from armature.injection.layout import BatchLayout, read_layout
from armature.injection.mix import ControlFeatures, mix, mix_tokens
from armature.injection.report import AttachmentReport, ControlReport
from armature.injection.sites import SiteMap
from armature.injection.steps import Run, StepPosition, StepTracker
from armature.injection.tiling import tiled_additions, tiled_tokens

BoundControls = tuple[BoundControl, ...]
# Height and width of the whole latent, and the part of the picture that it is.
Place = tuple[tuple[int, int], Region | None]


@dataclass(frozen=True, eq=False)
class Sums:
    """What one U-Net call adds: at every site, and to the text context."""

    sites: tuple[Addition | None, ...]
    context: tuple[ContextAddition, ...] = ()


@dataclass(eq=False)
class CallFacts:
    """What the last U-Net call of any thread showed, for the report."""

    controls: BoundControls = ()
    run: Run | None = None
    batch: BatchLayout | None = None
    place: Place | None = None
    dtype: torch.dtype | None = None
    computed: int = 0
    results: dict[int, Computed] = field(default_factory=dict)

    def report(self, target: str, site_map: SiteMap, controls: BoundControls) -> AttachmentReport:
        """The report of controls; of facts that belong to earlier ones nothing is told."""
        facts = self if self.controls is controls else CallFacts()
        return AttachmentReport(
            target=target,
            sites=tuple(site.name for site in site_map.all),
            steps=None if facts.run is None else facts.run.count,
            calls=None if facts.run is None else len(facts.run.steps),
            batch=None if facts.batch is None else str(facts.batch),
            latent=None if facts.place is None else facts.place[0],
            dtype=None if facts.dtype is None else str(facts.dtype).removeprefix("torch."),
            computed=facts.computed,
            controls=tuple(facts._control(index, bound) for index, bound in enumerate(controls)),
        )

    def _control(self, index: int, bound: BoundControl) -> ControlReport:
        control, result = bound.control, self.results.get(index)
        active = calls = None
        if self.run is not None and not control.silent:
            on = [step for step in self.run.steps if control.active(step, self.run.count)]
            active, calls = tuple(dict.fromkeys(on)), len(on)
        notes = () if result is None else result.notes
        tokens = None if result is None else result.features.tokens
        return ControlReport(
            name=control.name,
            weights=control.level_weights or (control.weight,),
            guidance_half=str(control.guidance_half),
            active=active,
            calls=calls,
            picture=None if result is None else result.picture,
            maps=() if result is None else tuple((m.shape[-2], m.shape[-1]) for m in result.features.maps),
            tokens=None if tokens is None else tokens.shape[1],
            dtype=str(control.adapter.dtype).removeprefix("torch."),
            notes=("Its weights are 0: it adds nothing.",) if control.silent else notes,
        )


class CallState(threading.local):
    """The additions of the U-Net call that this thread is in; every thread has its own."""

    def __init__(self, site_map: SiteMap, fuser: FuserAdapter | None) -> None:
        self._site_map = site_map
        self._fuser = fuser
        self._nothing = Sums((None,) * len(site_map.all))
        self._now = self._nothing
        self._tracker = StepTracker()
        self._sums: dict[Any, Sums] = {}
        self.facts = CallFacts()

    def read(self, index: int) -> Addition | None:
        """What site `index` adds now."""
        return self._now.sites[index]

    @property
    def context(self) -> tuple[ContextAddition, ...]:
        """What the text context gets now."""
        return self._now.context

    def clear(self) -> None:
        """Add nothing."""
        self._now = self._nothing

    def begin(
        self, controls: BoundControls, caller: Caller, sample: torch.Tensor, timestep: Any, context_rows: int
    ) -> None:
        """Set what is added during the U-Net call with these inputs.

        caller: what is known of the pipeline that makes the call. context_rows: of the text context, 0 where there is
        none.
        """
        pipeline, views = caller.pipeline, caller.views
        position = None if pipeline is None else self._tracker.locate(pipeline, timestep, caller.timesteps)
        latent = (sample.shape[-2], sample.shape[-1]) if views is None else views.latent
        place = (latent, caller.region)
        if views is None:
            batch = read_layout(pipeline, sample)
        else:
            batch = read_layout(pipeline, sample, len(views.views), guided=views.guided)
        facts = self.facts
        if facts.controls is not controls or facts.place != place or (position is not None and position.fresh):
            self._compute(controls, place, sample, position)
        facts = self.facts
        facts.batch, facts.dtype = batch, sample.dtype
        active = tuple(
            index
            for index in facts.results
            if position is None or controls[index].control.active(position.step, position.run.count)
        )
        key = (active, batch, sample.dtype, sample.device, context_rows, views)
        if key not in self._sums:
            parts = [placed(controls[index], facts.results[index], sample.device) for index in active]
            self._sums[key] = self._summed(parts, batch, sample, context_rows, views)
        self._now = self._sums[key]

    def _summed(
        self,
        parts: list[ControlFeatures],
        batch: BatchLayout,
        sample: torch.Tensor,
        context_rows: int,
        views: Views | None,
    ) -> Sums:
        sites = self._site_map.all
        if self._fuser is not None:
            parts = fused(self._fuser, parts, sample.device)
        if views is not None:
            return Sums(tiled_additions(parts, sites, views, batch, sample), tiled_tokens(parts, views, batch))
        additions = tuple(mix(parts, level, batch, sample) for level in range(len(sites)))
        return Sums(additions, mix_tokens(parts, batch, context_rows))

    def _compute(
        self, controls: BoundControls, place: Place, sample: torch.Tensor, position: StepPosition | None
    ) -> None:
        """Run the adapters of all controls that will act; those whose pictures the running call knows are kept."""
        run = None if position is None else position.run
        for bound in controls:
            _check_window(bound, run)
        before = self.facts
        kept: dict[int, Computed] = {}
        if before.place == place and not (position is not None and position.fresh):
            kept = {id(before.controls[index].pictures): result for index, result in before.results.items()}
        self._sums = {}
        computed = before.computed if before.controls is controls else 0
        self.facts = CallFacts()
        results = {
            index: kept.get(id(bound.pictures)) or compute(bound, *place, sample.device)
            for index, bound in enumerate(controls)
            if not bound.control.silent
        }
        self.facts = CallFacts(controls, run, None, place, sample.dtype, computed + 1, results)


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
