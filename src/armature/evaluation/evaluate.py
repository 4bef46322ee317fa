"""adapter + held-out samples -> a report: control fidelity without the adapter, with it, and at best."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armature.adapters.base import Adapter
from armature.bases.open import Base, open_base
from armature.checkpoints.load import load_adapter
from armature.conditions.contract import InputContract
from armature.conditions.kinds import contract_for
from armature.data.samples.sample import CroppedSample, CroppedSamples
from armature.data.settings import DataSettings
from armature.errors import RecipeError
from armature.evaluation.fidelity import Measure, fidelity_of
from armature.evaluation.figures import Figure, gap_figure, mean_figure, share_figure
from armature.evaluation.measure_for import measure_for
from armature.evaluation.passes import Passes, Progress, run_passes
from armature.evaluation.prompt_alignment import named_things, prompt_alignment
from armature.evaluation.report import PASSES, Report
from armature.evaluation.sampler import PictureSampler
from armature.evaluation.samples import Chosen, choose, open_samples, scenes_behind
from armature.evaluation.sheet import contact_sheet
from armature.files import public_name
from armature.generation.samplers import sampler_name
from armature.injection.context import context_width
from armature.injection.early import check_before_opening
from armature.injection.fit import check_fit
from armature.injection.sites import find_sites
from armature.version import __version__

SHEET_ROWS = 12


def evaluate(
    adapter: Adapter | str | Path,
    *,
    data: CroppedSamples | DataSettings,
    base: Any = None,
    config: str | Path | None = None,
    kind: str | None = None,
    extractor: str | None = None,
    options: Mapping[str, Any] | None = None,
    count: int = 200,
    steps: int = 20,
    guidance: float | None = None,
    seed: int = 0,
    batch: int = 4,
    weight: float = 1.0,
    progress: Progress | None = None,
) -> Report:
    """Measure how well pictures follow an adapter's control, on samples that it has not learned from.

    adapter: one that is loaded, or what load_adapter takes. data: framed samples, of which the held-out ones are asked,
    or all where none are held out; or settings, see open_samples. base, config: see open_base. kind: of control, where
    the adapter does not say. extractor, options: what reads the pictures, and makes the maps of data that is opened
    here; left out, see measure_for and fidelity_of. count: at most so many samples. steps, guidance: of the sampler.
    seed: sample k is drawn with seed + k in every pass. weight: of the control. progress: called with (done, all)
    pictures. The control acts on every step and on both halves of guidance, as it does by default in generate.
    Raises RecipeError for impossible numbers, CheckpointError, AttachError, ConditionError or DatasetError for parts
    that do not fit or cannot be used.
    """
    _check(count=count, steps=steps, batch=batch)
    start = time.monotonic()
    asked = _ask(adapter, data, base, config, kind, extractor, options, count)
    sampler = PictureSampler(asked.base, steps=steps, guidance=guidance)
    chosen = choose(asked.data, asked.measure, count)
    passes = run_passes(
        sampler, asked.adapter, asked.contract, chosen, weight=weight, seed=seed, batch=batch, progress=progress
    )
    settings = {
        "count": len(chosen.frames),
        "skipped": chosen.skipped,
        "bad": len(chosen.bad),
        "steps": steps,
        "guidance": sampler.guidance,
        "sampler": sampler_name(asked.base.pipeline.scheduler),
        "seed": seed,
        "batch": batch,
        "weight": weight,
    }
    return _report(asked, chosen, passes, settings, start)


@dataclass(frozen=True, eq=False)
class _Asked:
    """Everything that an evaluation needs, opened and checked against each other. source: the data's name."""

    adapter: Adapter
    name: str
    kind: str
    base: Base
    contract: InputContract
    measure: Measure
    data: CroppedSamples
    source: str


def open_both(
    adapter: Adapter | str | Path, base: Any, config: str | Path | None, kind: str | None
) -> tuple[Adapter, str, Base]:
    """The adapter, its kind, and the base that it is to act on; the arguments are those of evaluate.

    A large base takes minutes to read: an adapter that does not fit it is told by its headers first.
    Raises what load_adapter, open_base and check_before_opening raise, and RecipeError for an adapter of unknown kind.
    """
    loaded = adapter if isinstance(adapter, Adapter) else load_adapter(adapter, kind=kind)
    kind = kind or loaded.card.kind
    if kind is None:
        raise RecipeError("The adapter's file does not say which kind of control it takes; give --kind.")
    check_before_opening(loaded, kind, base, config)
    return loaded, kind, open_base(base, config=config)


def _ask(
    adapter: Adapter | str | Path,
    data: CroppedSamples | DataSettings,
    base: Any,
    config: str | Path | None,
    kind: str | None,
    extractor: str | None,
    options: Mapping[str, Any] | None,
    count: int,
) -> _Asked:
    loaded, kind, opened = open_both(adapter, base, config, kind)
    name = public_name(loaded.card.source or (kind if isinstance(adapter, Adapter) else adapter))
    unet = opened.pipeline.unet
    check_fit(loaded, find_sites(unet), context_width(unet), kind)
    contract = contract_of(loaded, kind, opened)
    if not isinstance(data, DataSettings):
        known = {"palette": contract.palette, "embedded": opened.embedded}
        measure = fidelity_of(kind, extractor=extractor, options=options, **known)
        return _Asked(loaded, name, kind, opened, contract, measure, data, data.name)
    if extractor is not None:
        data = data.model_copy(update={"extractor": extractor, "extract": dict(options or {})})
    measure = measure_for(kind, data, palette=contract.palette, embedded=opened.embedded)
    stride = max(opened.stride, loaded.spec.size_multiple)
    frames = open_samples(data, kind=kind, contract=contract, family=opened.family, stride=stride, count=count)
    return _Asked(loaded, name, kind, opened, contract, measure, frames, data.source)


def _report(asked: _Asked, chosen: Chosen, passes: Passes, settings: Mapping[str, Any], start: float) -> Report:
    measure, pictures = asked.measure, passes.pictures
    scores = {name: _scores(measure, chosen, pictures[name]) for name in PASSES}
    return Report(
        adapter=asked.name,
        kind=asked.kind,
        base=asked.base.name,
        data=public_name(asked.source),
        measure={name: getattr(measure, name) for name in ("name", "unit", "better", "extractor")},
        settings=settings,
        fidelity={name: mean_figure(values) for name, values in scores.items()},
        gap_closed=gap_figure(scores["without"], scores["with"], scores["ceiling"]),
        objects=_objects(chosen.frames, pictures),
        seconds={**passes.seconds, "total": round(time.monotonic() - start, 2)},
        machine=_machine(asked.base),
        warnings=tuple(_warnings(asked, chosen)),
        samples=tuple(
            {"key": frame.key, **{name: values[index] for name, values in scores.items()}}
            for index, frame in enumerate(chosen.frames)
        ),
        sheet=_sheet(chosen, pictures),
    )


def contract_of(adapter: Adapter, kind: str, base: Base) -> InputContract:
    """How the adapter's map must look: as its file says, or as the kind's published files have it."""
    return adapter.card.contract or contract_for(
        kind, in_channels=adapter.spec.picture_channels, family=base.family.adapters, source=adapter.card.source
    )


def _scores(measure: Measure, chosen: Chosen, pictures: Sequence[np.ndarray]) -> list[float]:
    return [measure.score(frame.control, picture) for frame, picture in zip(chosen.frames, pictures, strict=True)]


def _objects(
    frames: tuple[CroppedSample, ...], pictures: Mapping[str, Sequence[np.ndarray]]
) -> dict[str, dict[str, Figure]] | None:
    """For scenes of toyworld: does each pass show what the captions name?"""
    from armature.conditions.networks.annotator import load_network

    scenes = scenes_behind(frames)
    if scenes is None or any(frame.pixels.shape[0] % 16 for frame in frames):
        return None
    named, network = [named_things(drawn) for drawn in scenes], load_network()
    found = {}
    for name in PASSES:
        result = prompt_alignment(named, [network.annotate(picture[None])[0] for picture in pictures[name]])
        found[name] = {
            "object_recall": share_figure(result.objects_found, result.objects_named),
            "colours_right": share_figure(result.colours_right, result.colours_named),
        }
    return found


def _sheet(chosen: Chosen, pictures: Mapping[str, Sequence[np.ndarray]]) -> Any:
    rows = [
        [frame.control, *(pictures[name][index] for name in ("without", "with", "true"))]
        for index, frame in enumerate(chosen.frames[:SHEET_ROWS])
    ]
    return contact_sheet(("control", "without", "with", "true"), rows)


def _warnings(asked: _Asked, chosen: Chosen) -> list[str]:
    training = asked.adapter.card.metadata.get("training")
    learned = training.get("data") if isinstance(training, Mapping) else None
    words = []
    if isinstance(learned, str) and not asked.data.held_out and public_name(learned) == public_name(asked.source):
        words.append(
            f"The adapter was trained on {learned}, the very data of this evaluation: the figures flatter it. "
            "Give data that it has never seen."
        )
    if chosen.bad:
        words.append(f"{len(chosen.bad)} samples could not be read; the first: {chosen.bad[0]}")
    return words


def _machine(base: Base) -> dict[str, Any]:
    place = base.place
    name = torch.cuda.get_device_name(place.device) if place.device.type == "cuda" else platform.machine()
    return {"device": f"{place.device.type} {name}", "precision": place.dtype_name, "armature": __version__}


def _check(**numbers: int) -> None:
    wrong = [f"{name} is {number}" for name, number in numbers.items() if number < 1]
    if wrong:
        raise RecipeError(f"Evaluation: {', '.join(wrong)}; expected at least 1.")
