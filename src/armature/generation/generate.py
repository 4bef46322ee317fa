"""Prompt and controls in, pictures out: thin over diffusers' pipelines."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from armature.bases.card import BaseCard
from armature.bases.open import Base
from armature.errors import RecipeError
from armature.files import text_name
from armature.generation.controls import ResolvedControl, refuse_unused, resolve_controls
from armature.generation.inpaint import LatentKeeper, blends_itself
from armature.generation.models import Models
from armature.generation.pictures import FittedStart, Start, finished, natural_size, size_after_control, size_note
from armature.generation.pipelines import pipeline_for
from armature.generation.request import GenerationRequest, check_size, refuse_unknown, text_notes
from armature.generation.samplers import find_sampler, sampler_name
from armature.generation.settings import Mode, Settings, name_picture
from armature.injection.attach import attach
from armature.injection.early import check_before_opening
from armature.injection.report import AttachmentReport

if TYPE_CHECKING:
    from PIL import Image

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
    image: Any = None,
    strength: float = 0.8,
    mask_image: Any = None,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    sampler: str | None = None,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    num_images_per_prompt: int = 1,
    size: tuple[int, int] | None = None,
    width: int | None = None,
    height: int | None = None,
    vae: str | Path | None = None,
    config: str | Path | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = None,
    progress: Progress | None = None,
    **others: Any,
) -> Generation:
    """Make pictures of a prompt that follow the controls.

    controls: armature.Control objects, ControlRequest objects or (kind, image) tuples, in any mix; or one of them.
    base: None for the embedded model; hub id, diffusers folder or single file; a pipeline; what `open_base` gave; or
        Models, which have adapters, vae, config, device and dtype of their own.
    adapters: by kind, for the requests; left out, the embedded adapters, with the embedded base only.
    image: a picture to start from, with `strength` in 0..1 as the share of the steps that is run on it; mask_image:
        white where `image` is painted anew; all else keeps its pixels.
    num_inference_steps, guidance_scale: of the sampler, and of classifier-free guidance, 1 or less for none; left out,
        what suits the base. sampler: a name of `armature.generation.samplers.SAMPLERS`; left out, the base's own.
    seed: 0 to 9e15; left out, drawn. generator: a fresh torch.Generator of the CPU instead of a seed.
    num_images_per_prompt: pictures, with seeds seed, seed + 1, ...
    size: (width, height) in pixels, or width and height by name; multiples of the base's latent stride (8); left out,
        that of `image`, else that of the first control, as near as the base draws well, else the base's own.
    vae, config: see `open_base`. device, dtype: see `DeviceSpec.choose`.
    progress: called with (U-Net steps done, all steps of this call) after every step; raising there ends the call.
    Raises RecipeError (all wrong values at once, and any other argument with the name that was meant), ConditionError,
    CheckpointError or AttachError, before the first step wherever that can be known.

    Example: `armature.generate("a red house", ("sketch", "drawing.png"), seed=7).images[0]`.
    """
    refuse_unknown(others, inspect.signature(generate).parameters)
    asked = GenerationRequest(
        prompt=prompt,
        negative_prompt=negative_prompt or "",
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        seed=seed,
        generator=generator,
        num_images_per_prompt=num_images_per_prompt,
        strength=strength,
        size=size,
        width=width,
        height=height,
        starts=image is not None,
    )
    asked.check()
    start = Start.read(image, mask_image)
    models = _models(base, controls, adapters=adapters, vae=vae, config=config, device=device, dtype=dtype)
    name = sampler or models.card.sampler
    chosen = None if name is None else find_sampler(name)
    # Before the base, which may be a download: what is wrong with a control is then told at once.
    resolved = resolve_controls(controls, models)
    for one in () if models.opened else resolved:
        check_before_opening(one.control.adapter, one.control.name, models.source, models.config)
    opened = models.base()
    mode = _mode(start, opened)
    natural, notes = _natural_size(start, resolved, opened)
    made_width, made_height = check_size(asked.wanted_size, natural, opened.stride)
    steps = num_inference_steps or opened.steps
    asked.check_steps(steps)
    fitted = None if start is None else start.fitted((made_width, made_height))
    blends = mode == "inpaint" and blends_itself(opened)
    pipeline = pipeline_for(opened, "image" if blends else mode, chosen)
    settings = Settings(
        prompt=prompt,
        negative=asked.negative_prompt,
        mode=mode,
        base=text_name(opened.name),
        vae=text_name(opened.vae),
        config=text_name(opened.config),
        family=opened.family.key,
        sampler=sampler_name(pipeline.scheduler),
        steps=steps,
        guidance=opened.guidance if guidance_scale is None else float(guidance_scale),
        seed=asked.resolved_seed,
        count=num_images_per_prompt,
        width=made_width,
        height=made_height,
        strength=1.0 if fitted is None else float(strength),
        init=name_picture(image),
        inpaint=name_picture(mask_image),
        controls=tuple(one.settings for one in resolved),
        dtype=models.place.dtype_name,
        device=models.place.device.type,
    )
    blending = opened if blends else None
    told = notes if asked.wanted_size is None else ()
    return _run(_Job(pipeline, opened.card, settings, resolved, fitted, blending, generator, progress, told))


@dataclass(frozen=True, eq=False)
class _Job:
    """A generation with everything opened.

    blending: the base, where inpainting is done here. generator: of the first picture, where the caller gave one.
    notes: what is worth knowing before it starts.
    """

    pipeline: Any
    card: BaseCard
    settings: Settings
    resolved: tuple[ResolvedControl, ...]
    start: FittedStart | None
    blending: Base | None
    generator: torch.Generator | None
    progress: Progress | None
    notes: tuple[str, ...]

    def arguments(self, index: int) -> dict[str, Any]:
        """The arguments of the pipeline call for one picture."""
        settings, start = self.settings.single(index), self.start
        own = torch.Generator("cpu").manual_seed(settings.seed)
        options: dict[str, Any] = {
            "prompt": settings.prompt,
            "negative_prompt": settings.negative or None,
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance,
            "generator": self.generator if self.generator is not None and index == 0 else own,
            "output_type": "np",
            "callback_on_step_end": self._after_step(index, settings.seed),
        }
        size = {"width": settings.width, "height": settings.height}
        if start is None:
            return options | size
        options |= {"image": start.picture, "strength": settings.strength}
        if start.mask is None or self.blending is not None:
            return options
        return options | {"mask_image": start.mask, **size}

    def _after_step(self, index: int, seed: int) -> Callable[..., dict[str, Any]]:
        keeper = (
            None if self.blending is None or self.start is None else LatentKeeper.of(self.blending, self.start, seed)
        )

        def after_step(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            if self.progress is not None:
                steps = pipeline.num_timesteps
                self.progress(index * steps + step + 1, self.settings.count * steps)
            if keeper is None:
                return tensors
            return {**tensors, "latents": keeper.after_step(pipeline, step, tensors["latents"])}

        return after_step


def _run(job: _Job) -> Generation:
    settings, resolved, start = job.settings, job.resolved, job.start
    maps = tuple(one.seen((settings.width, settings.height)).picture for one in resolved)
    images, flagged = [], []
    with attach(job.pipeline, [one.control for one in resolved], own_thread=True) as attachment:
        # One after the other: in a batch, rounding would make a picture depend on its neighbours, and memory grow.
        for index in range(settings.count):
            output = job.pipeline(**job.arguments(index))
            images.append(finished(output.images[0], start))
            if any(getattr(output, "nsfw_content_detected", None) or ()):
                flagged.append(f"The base's safety checker blackened picture {index + 1}.")
        report = attachment.report()
    notes = [*job.notes, *(() if start is None else start.notes)]
    notes += [f"{control.name} control: {note}" for control in report.controls for note in control.notes]
    notes += [f"{one.settings.kind} adapter: {note}" for one in resolved for note in one.control.adapter.card.notes]
    notes += [*text_notes(job.pipeline, job.card, settings), *flagged]
    return Generation(tuple(images), settings, maps, report, tuple(dict.fromkeys(notes)))


def _models(base: Any, controls: Any, **given: Any) -> Models:
    """The models that are meant; those that are there already take nothing more, and may serve other calls as well."""
    if not isinstance(base, Models):
        models = Models(base, **given)
        refuse_unused(controls, models)
        return models
    if twice := [name for name, value in given.items() if value is not None]:
        raise RecipeError(f"The models are there already, and {', '.join(twice)} belong to them; leave these out.")
    return base


def _natural_size(
    start: Start | None, resolved: tuple[ResolvedControl, ...], base: Base
) -> tuple[tuple[int, int], tuple[str, ...]]:
    """(width, height) when none is asked for: of the start, else of the first control, else the base's own; notes."""
    shown = next(((one.settings.kind, one.size) for one in resolved if one.size is not None), None)
    if start is not None or shown is None:
        return natural_size(start, base.size, base.stride), ()
    kind, given = shown
    size = size_after_control(given, base.size, base.stride)
    return size, size_note(kind, given, size, base.size)


def _mode(start: Start | None, base: Base) -> Mode:
    mode: Mode = "text" if start is None else "image" if start.mask is None else "inpaint"
    if base.inpaints and mode != "inpaint":
        raise RecipeError(
            f"The base {base.name!r} is an inpainting model, which needs a picture and a mask; give image and "
            "mask_image (--init and --inpaint), or another base."
        )
    return mode
