"""The diffusers pipeline for a task, around the parts of an opened base."""

from __future__ import annotations

import inspect
from copy import deepcopy
from typing import Any

from armature.bases.families import Task
from armature.bases.latents import for_pipelines
from armature.bases.open import Base
from armature.bases.pipelines import pipeline_class
from armature.generation.samplers import Sampler, make_scheduler
from armature.quiet import quiet_loading


@quiet_loading()
def pipeline_for(base: Base, task: Task, sampler: Sampler | None) -> Any:
    """A pipeline of diffusers that shares the base's networks and has a scheduler and tokenizers of its own.

    The base's pipeline, its scheduler and its settings stay as they are, so that one base serves many calls.
    Raises RecipeError for a base that makes clips.
    """
    kind = pipeline_class(base.family, task)
    known = inspect.signature(kind.__init__).parameters
    source = base.pipeline
    parts = {name: value for name, value in source.config.items() if name in known and not isinstance(value, tuple)}
    parts |= {name: part for name, part in source.components.items() if name in known}
    parts["scheduler"] = make_scheduler(source.scheduler, sampler)
    parts["vae"] = for_pipelines(source.vae)
    # A tokenizer keeps padding and truncation of the call that it is in: two threads would read each other's.
    parts |= {name: deepcopy(part) for name, part in parts.items() if name.startswith("tokenizer")}
    for name in ("safety_checker", "feature_extractor"):
        if name in known:
            parts.setdefault(name, None)
    if parts.get("safety_checker") is None and "requires_safety_checker" in known:
        # Else diffusers prints a notice about its absence at every call.
        parts["requires_safety_checker"] = False
    pipeline = kind(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
