"""The plain values of a generation, checked together, and what a text encoder will not read of the texts."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any

from armature.errors import RecipeError
from armature.generation.settings import Settings

# JSON readers in browsers hold whole numbers exactly up to here; the last of a row of seeds must fit as well.
_LARGEST_SEED = 2**53 - 1_000_000
# Fewer cells than this leave the deepest level of a U-Net with nothing to work on.
_SMALLEST_CELLS = 8


@dataclass(frozen=True)
class Wishes:
    """What the caller asked for; `check` tells everything that is wrong at once. starts: from a picture."""

    prompt: Any
    negative: Any
    steps: Any
    guidance: Any
    seed: Any
    count: Any
    strength: Any
    starts: bool

    @cached_property
    def resolved_seed(self) -> int:
        """The seed that was asked for, or one drawn: 32 bits, so that it is easy to read and type."""
        return secrets.randbelow(2**32) if self.seed is None else int(self.seed)

    def check(self) -> None:
        """Raise RecipeError naming every wrong value."""
        problems = []
        for name in ("prompt", "negative"):
            if not isinstance(getattr(self, name), str):
                problems.append(f"{name} is a {type(getattr(self, name)).__name__}, expected a text")
        for name in ("steps", "count"):
            value = getattr(self, name)
            if not _whole(value) or value < 1:
                problems.append(f"{name} is {value!r}, expected a whole number of at least 1")
        if self.guidance is not None and not (_finite(self.guidance) and self.guidance >= 0):
            problems.append(f"guidance is {self.guidance!r}, expected a number of at least 0")
        if self.seed is not None and not (_whole(self.seed) and 0 <= self.seed <= _LARGEST_SEED):
            problems.append(f"seed is {self.seed!r}, expected a whole number from 0 to {_LARGEST_SEED}")
        if not (_finite(self.strength) and 0 < self.strength <= 1):
            problems.append(f"strength is {self.strength!r}, expected a number above 0 and up to 1")
        elif self.starts and _whole(self.steps) and self.steps >= 1 and int(self.steps * self.strength) < 1:
            least = math.ceil(1 / self.strength)
            problems.append(
                f"strength {self.strength:g} of {self.steps} steps leaves none to run, expected at least {least} steps"
            )
        if problems:
            raise RecipeError(f"{'; '.join(problems)}.")


def check_size(wanted: Any, natural: tuple[int, int], stride: int) -> tuple[int, int]:
    """The (width, height) to make; raises RecipeError, naming the nearest sizes, when the stride does not divide it."""
    if wanted is None:
        return natural
    if not isinstance(wanted, (tuple, list)) or len(wanted) != 2 or not all(_whole(side) for side in wanted):
        raise RecipeError(f"size is {wanted!r}; expected (width, height) in whole pixels.")
    width, height = (int(side) for side in wanted)
    least = _SMALLEST_CELLS * stride
    below = [max(least, side // stride * stride) for side in (width, height)]
    above = [max(least, -(-side // stride) * stride) for side in (width, height)]
    if below == above == [width, height]:
        return width, height
    nearest = " or ".join(dict.fromkeys(f"{w}x{h}" for w, h in (below, above)))
    raise RecipeError(
        f"size is {width}x{height}; this base makes multiples of {stride} px, at least {least}: nearest are {nearest}."
    )


def text_notes(pipeline: Any, settings: Settings) -> list[str]:
    """Sentences on the parts of the texts that have no effect."""
    notes = []
    tokenizer = pipeline.tokenizer
    room = tokenizer.model_max_length
    for name, text in (("prompt", settings.prompt), ("negative prompt", settings.negative)):
        ids = tokenizer(text, truncation=False, verbose=False).input_ids
        if len(ids) > room:
            lost = tokenizer.decode(ids[room - 1 : -1]).strip()
            notes.append(
                f"The {name} is longer than the {room - 2} tokens that this base reads; it ends before: {lost}"
            )
    if settings.negative and settings.guidance <= 1:
        notes.append(f"Guidance {settings.guidance:g} is none at all: the negative prompt has no effect.")
    return notes


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
