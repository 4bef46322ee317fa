"""diffusers' pipelines for the tasks of a family."""

from __future__ import annotations

from typing import Any

from armature.bases.families import Family, Task
from armature.errors import RecipeError


def pipeline_class(family: Family, task: Task) -> Any:
    """The pipeline class of diffusers for a task. RecipeError for a family that makes clips."""
    import diffusers

    if family.makes_clips:
        raise RecipeError(
            f"This base makes clips ({family.title}), no single pictures; run its own pipeline, with controls by "
            "armature.attach."
        )
    return getattr(diffusers, family.pipelines[task])
