"""The plain values of a generation, checked together, and what a text encoder will not read of the texts."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import torch

from armature.bases.card import BaseCard
from armature.conditions.picture.reading import pixel_limit
from armature.errors import RecipeError
from armature.generation.settings import LARGEST_SEED, Settings

# Fewer cells than this leave the deepest level of a U-Net with nothing to work on.
_SMALLEST_CELLS = 8
# What people call things elsewhere, and on the command line.
_MEANT = {
    "negative": "negative_prompt",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "cfg": "guidance_scale",
    "cfg_scale": "guidance_scale",
    "init": "image",
    "init_image": "image",
    "inpaint": "mask_image",
    "mask": "mask_image",
    "count": "num_images_per_prompt",
    "num_images": "num_images_per_prompt",
    "batch_size": "num_images_per_prompt",
    "scheduler": "sampler",
    "model": "base",
    "pipeline": "base",
    "control": "controls",
    "adapter": "adapters",
    "base_config": "config",
    "torch_dtype": "dtype",
    "callback": "progress",
    "callback_on_step_end": "progress",
}


@dataclass(frozen=True)
class GenerationRequest:
    """What the caller asked for; `check` tells everything that is wrong at once.

    The fields are arguments of `generate`; starts: from a picture.
    """

    prompt: Any
    negative_prompt: Any
    num_inference_steps: Any
    guidance_scale: Any
    seed: Any
    generator: Any
    num_images_per_prompt: Any
    strength: Any
    size: Any
    width: Any
    height: Any
    starts: bool

    @cached_property
    def resolved_seed(self) -> int:
        """The seed that was asked for, or one drawn: 32 bits, so that it is easy to read and type."""
        if self.generator is not None:
            return int(self.generator.initial_seed())
        return secrets.randbelow(2**32) if self.seed is None else int(self.seed)

    @property
    def wanted_size(self) -> Any:
        """(width, height) as asked for, with None for a side that is left open; None when both are."""
        if self.size is not None:
            return self.size
        return None if self.width is None and self.height is None else (self.width, self.height)

    def check(self) -> None:
        """Raise RecipeError naming every wrong value."""
        problems = []
        for name in ("prompt", "negative_prompt"):
            if problem := text_problem(name, getattr(self, name)):
                problems.append(problem)
        for name, steps in (("num_inference_steps", self.num_inference_steps), ("num_images_per_prompt", self.count)):
            if steps is not None and (not _whole(steps) or steps < 1):
                problems.append(f"{name} is {steps!r}, expected a whole number of at least 1")
        if self.guidance_scale is not None and not (_finite(self.guidance_scale) and self.guidance_scale >= 0):
            problems.append(f"guidance_scale is {self.guidance_scale!r}, expected a number of at least 0")
        problems += self._seed_problems()
        if not (_finite(self.strength) and 0 < self.strength <= 1):
            problems.append(f"strength is {self.strength!r}, expected a number above 0 and up to 1")
        elif _whole(self.num_inference_steps) and self.num_inference_steps >= 1:
            problems += self._strength_problems(self.num_inference_steps)
        if self.size is not None and (self.width is not None or self.height is not None):
            problems.append("size is given, and width or height; give one of the two")
        if problems:
            raise RecipeError(f"{'; '.join(problems)}.")

    def check_steps(self, steps: int) -> None:
        """Raise RecipeError when a number of steps that the base recommends leaves none to run."""
        if problems := self._strength_problems(steps):
            raise RecipeError(f"{problems[0]}.")

    @property
    def count(self) -> Any:
        """Number of pictures."""
        return self.num_images_per_prompt

    def _strength_problems(self, steps: int) -> list[str]:
        if not self.starts or int(steps * self.strength) >= 1:
            return []
        least = math.ceil(1 / self.strength)
        return [f"strength {self.strength:g} of {steps} steps leaves none to run, expected at least {least} steps"]

    def _seed_problems(self) -> list[str]:
        if self.generator is not None:
            return _generator_problems(self.generator, self.seed)
        problem = seed_problem(self.seed)
        return [problem] if problem else []


def seed_problem(seed: Any) -> str | None:
    """What is wrong with a seed that was asked for, or None."""
    if seed is None or (_whole(seed) and 0 <= seed <= LARGEST_SEED):
        return None
    return f"seed is {_said(seed)}, expected a whole number from 0 to {LARGEST_SEED}"


def text_problem(name: str, text: Any) -> str | None:
    """What is wrong with a prompt, or None."""
    if not isinstance(text, str):
        return f"{name} is a {type(text).__name__}, expected a text"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"{name} has bytes that are no text, expected UTF-8"
    return None


def _said(value: Any) -> str:
    """A value as messages show it; a number of thousands of digits has no text, and would fill the screen."""
    whole = _whole(value) and abs(value) >= 2**100
    return f"a number of about 2^{int(value).bit_length()}" if whole else repr(value)[:80]


def _generator_problems(generator: Any, seed: Any) -> list[str]:
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        what = f"of {generator.device}" if isinstance(generator, torch.Generator) else f"a {type(generator).__name__}"
        return [f"generator is {what}, expected one torch.Generator of the CPU, where noise is drawn; or give seed"]
    if seed is not None:
        return ["seed and generator are given; give one of the two"]
    start = generator.initial_seed()
    if not 0 <= start <= LARGEST_SEED:
        return [f"generator was seeded with {start}, expected a whole number from 0 to {LARGEST_SEED}"]
    if not torch.equal(generator.get_state(), torch.Generator().manual_seed(start).get_state()):
        return ["generator was used before, and no seed makes its next picture again; seed it anew, or give seed"]
    return []


def refuse_unknown(others: Iterable[str], known: Iterable[str]) -> None:
    """Raise RecipeError for arguments that `generate` does not have, naming the ones that were meant."""
    told = []
    for name in others:
        near = _MEANT.get(name) or next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), None)
        told.append(f"generate has no argument {name!r}" + (f"; it is called {near!r} here" if near else ""))
    if told:
        raise RecipeError(f"{'. '.join(told)}.")


def check_size(wanted: Any, natural: tuple[int, int], stride: int) -> tuple[int, int]:
    """The (width, height) to make; raises RecipeError, naming the nearest sizes, when the stride does not divide it.

    wanted: (width, height), either of which may be None for the natural one; None for both.
    """
    if wanted is None:
        return natural
    if isinstance(wanted, (tuple, list)) and len(wanted) == 2:
        wanted = [own if side is None else side for side, own in zip(wanted, natural, strict=True)]
    if not isinstance(wanted, (tuple, list)) or len(wanted) != 2 or not all(_whole(side) for side in wanted):
        raise RecipeError(f"size is {wanted!r}; expected (width, height) in whole pixels.")
    width, height = (int(side) for side in wanted)
    least = _SMALLEST_CELLS * stride
    below = [max(least, side // stride * stride) for side in (width, height)]
    above = [max(least, -(-side // stride) * stride) for side in (width, height)]
    if width * height > (limit := pixel_limit()):
        raise RecipeError(f"size is {_said(width)} x {_said(height)}; expected at most {limit} pixels in all.")
    if below == above == [width, height]:
        return width, height
    nearest = " or ".join(dict.fromkeys(f"{w}x{h}" for w, h in (below, above)))
    raise RecipeError(
        f"size is {width}x{height}; this base makes multiples of {stride} px, at least {least}: nearest are {nearest}."
    )


def text_notes(pipeline: Any, card: BaseCard, settings: Settings) -> list[str]:
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
        if unknown := card.unknown_words(text):
            near = "".join(f" {word.capitalize()} is near {known}." for word, known in unknown.items() if known)
            notes.append(
                f"The {name} has words that the {card.name} base never learnt, and it draws without them: "
                f"{', '.join(unknown)}.{near} `armature list words` has all that it knows."
            )
    if settings.negative and settings.guidance <= 1:
        notes.append(f"Guidance {settings.guidance:g} is none at all: the negative prompt has no effect.")
    return notes


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
