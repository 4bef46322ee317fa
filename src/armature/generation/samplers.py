"""The samplers by the names that users know, each one of diffusers' schedulers with its options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from armature.errors import RecipeError


@dataclass(frozen=True)
class Sampler:
    """A scheduler class of diffusers under a name.

    name: ours, for the command line. title: what other tools call it. scheduler: diffusers' class.
    options: what sets it apart from other samplers of the same class.
    """

    name: str
    title: str
    scheduler: str
    options: Mapping[str, Any] = field(default_factory=dict)


_DPM = "DPMSolverMultistepScheduler"
_PLAIN = {"use_karras_sigmas": False}
_KARRAS = {"use_karras_sigmas": True}
_2M = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_2M_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}

SAMPLERS: dict[str, Sampler] = {
    sampler.name: sampler
    for sampler in (
        Sampler("ddim", "DDIM", "DDIMScheduler"),
        Sampler("ddpm", "DDPM", "DDPMScheduler"),
        Sampler("pndm", "PLMS", "PNDMScheduler", {"skip_prk_steps": True}),
        Sampler("euler", "Euler", "EulerDiscreteScheduler", _PLAIN),
        Sampler("euler-karras", "Euler Karras", "EulerDiscreteScheduler", _KARRAS),
        Sampler("euler-a", "Euler a", "EulerAncestralDiscreteScheduler"),
        Sampler("heun", "Heun", "HeunDiscreteScheduler", _PLAIN),
        Sampler("dpm2", "DPM2", "KDPM2DiscreteScheduler", _PLAIN),
        Sampler("dpm2-karras", "DPM2 Karras", "KDPM2DiscreteScheduler", _KARRAS),
        Sampler("dpm2-a", "DPM2 a", "KDPM2AncestralDiscreteScheduler", _PLAIN),
        Sampler("dpm++2m", "DPM++ 2M", _DPM, {**_2M, **_PLAIN}),
        Sampler("dpm++2m-karras", "DPM++ 2M Karras", _DPM, {**_2M, **_KARRAS}),
        Sampler("dpm++2m-sde", "DPM++ 2M SDE", _DPM, {**_2M_SDE, **_PLAIN}),
        Sampler("dpm++2m-sde-karras", "DPM++ 2M SDE Karras", _DPM, {**_2M_SDE, **_KARRAS}),
        Sampler("unipc", "UniPC", "UniPCMultistepScheduler", _PLAIN),
        Sampler("lcm", "LCM", "LCMScheduler"),
    )
}


def find_sampler(name: str) -> Sampler:
    """The sampler of a name, in our spelling or in other tools' ("DPM++ 2M Karras").

    Raises RecipeError for an unknown one, with the known ones and the nearest.
    """
    tidy = _tidy(name)
    for sampler in SAMPLERS.values():
        if tidy in (_tidy(sampler.name), _tidy(sampler.title)):
            return sampler
    near = get_close_matches(name.lower(), SAMPLERS, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise RecipeError(f"Unknown sampler {name!r}; known samplers: {', '.join(SAMPLERS)}.{hint}")


def make_scheduler(own: Any, sampler: Sampler | None) -> Any:
    """A fresh scheduler with the noise schedule and prediction type of a model's own one.

    own: the model's scheduler, which stays as it is. sampler: None for the same class and options as `own`.
    """
    if sampler is None:
        return type(own).from_config(own.config)
    import diffusers

    kind = getattr(diffusers, sampler.scheduler)
    known = inspect.signature(kind.__init__).parameters
    options = dict(sampler.options)
    # Stable Diffusion's own values, for models whose configuration was written for a scheduler without them.
    for name, value in (("steps_offset", 1), ("clip_sample", False)):
        if name in known and name not in own.config:
            options[name] = value
    return kind.from_config(own.config, **options)


def sampler_name(scheduler: Any) -> str:
    """What a scheduler is called here, or its class where it is none of ours."""
    kind, config = type(scheduler).__name__, scheduler.config
    for sampler in SAMPLERS.values():
        if sampler.scheduler == kind and all(config.get(name) == value for name, value in sampler.options.items()):
            return sampler.name
    return kind


def _tidy(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum() or letter == "+")
