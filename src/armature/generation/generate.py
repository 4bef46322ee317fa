"""Prompt and controls in, pictures out: thin over diffusers' pipelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from armature.bases.open import EMBEDDED, Base, open_base
from armature.devices import DeviceSpec
from armature.errors import RecipeError
from armature.generation.controls import ControlRequest, ResolvedControl, resolve_controls
from armature.generation.pictures import FittedStart, Start, finished, natural_size
from armature.generation.pipelines import pipeline_for
from armature.generation.samplers import find_sampler, sampler_name
from armature.generation.settings import Mode, Settings, name_picture
from armature.generation.wishes import Wishes, check_size, text_notes
from armature.injection.attach import attach
from armature.injection.report import AttachmentReport

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Base", "ControlRequest", "Generation", "Settings", "generate", "open_base"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Generation:
    """What one call of generate made.

    images: PIL pictures of mode "RGB"; picture k is what a single call with seed + k makes. settings: complete, the
    drawn seed included. control_maps: for every control the map as its adapter saw it. report: what the controls did
    in the last picture. notes: what was changed or is worth knowing, as sentences.
    """

    images: tuple[Image.Image, ...]
    settings: Settings
    control_maps: tuple[Image.Image, ...]
    report: AttachmentReport
    notes: tuple[str, ...]


def generate(
    prompt: str,
    controls: Any = (),
    *,
    base: Any = None,
    adapters: Mapping[str, Any] | None = None,
    init: Any = None,
    strength: float = 0.8,
    inpaint: Any = None,
    negative: str | None = None,
    steps: int = 20,
    guidance: float | None = None,
    sampler: str | None = None,
    seed: int | None = None,
    count: int = 1,
    size: tuple[int, int] | None = None,
    vae: str | Path | None = None,
    config: str | Path | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = None,
    progress: Progress | None = None,
) -> Generation:
    """Make pictures of a prompt that follow the controls.

    controls: armature.Control objects, ControlRequest objects or (kind, image) tuples, in any mix; or one of them.
    base: None for the embedded model; hub id, diffusers folder or single file; a pipeline; or what `open_base` gave.
    adapters: by kind, for the requests; left out, the embedded adapters, with the embedded base only.
    init: a picture to start from, with `strength` in 0..1 as the share of the steps that is run on it; inpaint: a mask,
        white where `init` is painted anew; all else keeps its pixels.
    guidance: scale of classifier-free guidance, 1 or less for none; left out, the base's usual one.
    sampler: a name of `armature.generation.samplers.SAMPLERS`; left out, the base's own.
    seed: 0 to 9e15; left out, drawn. count: pictures, with seeds seed, seed + 1, ...
    size: (width, height) in pixels, multiples of the base's latent stride (8); left out, the base's own, or that of
        `init`. vae, config: see `open_base`. device, dtype: see `DeviceSpec.choose`.
    progress: called with (U-Net steps done, all steps of this call) after every step; raising there ends the call.
    Raises RecipeError (all wrong values at once), ConditionError, CheckpointError or AttachError, before the first
    step wherever that can be known.
    """
    wishes = Wishes(prompt, negative or "", steps, guidance, seed, count, strength, starts=init is not None)
    wishes.check()
    chosen = None if sampler is None else find_sampler(sampler)
    start = Start.read(init, inpaint)
    there = None if base is None or isinstance(base, (str, Path)) else open_base(base)
    if there is not None and (device is not None or dtype is not None):
        raise RecipeError("The base is open already; move it yourself (pipeline.to), and leave device and dtype out.")
    embedded = there.embedded if there else base in (None, EMBEDDED)
    place = there.place if there else DeviceSpec.choose(device, dtype, embedded=embedded)
    # Before the base, which may be a download: what is wrong with a control is then told at once.
    resolved = resolve_controls(controls, adapters, embedded=embedded, place=place)
    opened = open_base(there or base, vae=vae, config=config, place=place)
    mode = _mode(start, opened)
    width, height = check_size(size, natural_size(start, opened.size, opened.stride), opened.stride)
    fitted = None if start is None else start.fitted((width, height))
    pipeline = pipeline_for(opened, mode, chosen)
    settings = Settings(
        prompt=prompt,
        negative=negative or "",
        mode=mode,
        base=opened.name,
        vae=opened.vae,
        config=opened.config,
        family=opened.family,
        sampler=sampler_name(pipeline.scheduler),
        steps=steps,
        guidance=opened.guidance if guidance is None else float(guidance),
        seed=wishes.resolved_seed,
        count=count,
        width=width,
        height=height,
        strength=1.0 if fitted is None else float(strength),
        init=name_picture(init),
        inpaint=name_picture(inpaint),
        controls=tuple(one.settings for one in resolved),
        dtype=place.dtype_name,
        device=place.device.type,
    )
    return _run(pipeline, settings, resolved, fitted, progress)


def _run(
    pipeline: Any,
    settings: Settings,
    resolved: tuple[ResolvedControl, ...],
    start: FittedStart | None,
    progress: Progress | None,
) -> Generation:
    maps = tuple(one.seen((settings.width, settings.height)).picture for one in resolved)
    images, flagged = [], []
    with attach(pipeline, [one.control for one in resolved]) as attachment:
        # One after the other: in a batch, rounding would make a picture depend on its neighbours, and memory grow.
        for index in range(settings.count):
            options = _call(settings.single(index), start)
            output = pipeline(**options, callback_on_step_end=_ticker(progress, index, settings.count))
            images.append(finished(output.images[0], start))
            if any(getattr(output, "nsfw_content_detected", None) or ()):
                flagged.append(f"The base's safety checker blackened picture {index + 1}.")
        report = attachment.report()
    notes = [] if start is None else [*start.notes]
    notes += [f"{control.name} control: {note}" for control in report.controls for note in control.notes]
    notes += [f"{one.settings.kind} adapter: {note}" for one in resolved for note in one.control.adapter.card.notes]
    notes += [*text_notes(pipeline, settings), *flagged]
    return Generation(tuple(images), settings, maps, report, tuple(dict.fromkeys(notes)))


def _call(settings: Settings, start: FittedStart | None) -> dict[str, Any]:
    """The arguments of one pipeline call for one picture."""
    options: dict[str, Any] = {
        "prompt": settings.prompt,
        "negative_prompt": settings.negative or None,
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance,
        "generator": torch.Generator("cpu").manual_seed(settings.seed),
        "output_type": "np",
    }
    if start is None:
        return {**options, "width": settings.width, "height": settings.height}
    options |= {"image": start.picture, "strength": settings.strength}
    if start.mask is None:
        return options
    return {**options, "mask_image": start.mask, "width": settings.width, "height": settings.height}


def _ticker(progress: Progress | None, index: int, count: int) -> Callable[..., dict[str, Any]]:
    def tick(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if progress is not None:
            steps = pipeline.num_timesteps
            progress(index * steps + step + 1, count * steps)
        return tensors

    return tick


def _mode(start: Start | None, base: Base) -> Mode:
    mode: Mode = "text" if start is None else "image" if start.mask is None else "inpaint"
    if base.inpaints and mode != "inpaint":
        raise RecipeError(
            f"The base {base.name!r} is an inpainting model, which needs a picture and a mask; give init and inpaint "
            "(--init and --inpaint), or another base."
        )
    return mode
