"""A file of prompts: one a line, or JSON lines with a seed and a negative prompt for each."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from armature.errors import RecipeError
from armature.generation.request import seed_problem, text_problem

_MOST_BYTES = 16_000_000
_TYPES = {"prompt": str, "seed": int, "negative_prompt": str}


@dataclass(frozen=True)
class Prompt:
    """One line of the file; what it leaves out is None, and as everywhere else in the call."""

    prompt: str
    seed: int | None = None
    negative_prompt: str | None = None


def read_prompts(path: str | Path) -> tuple[Prompt, ...]:
    """The prompts of a file, in its order.

    A line is a prompt; empty lines and lines that begin with # are passed over. In a .jsonl file a line is an object
    with "prompt" and, if wanted, "seed" and "negative_prompt".
    Raises RecipeError for a file that cannot be read or holds no prompt, and one that names all wrong lines.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RecipeError(f"{str(path)!r} has {path.stat().st_size} bytes; a file of prompts has a few.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise RecipeError(f"No prompts can be read from {str(path)!r}: {reason}.") from error
    read = _object if path.suffix.lower() == ".jsonl" else Prompt
    found, problems = [], []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            prompt = read(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"line {number}: {error}")
            continue
        if problem := text_problem("prompt", prompt.prompt):
            problems.append(f"line {number}: {problem}")
        found.append(prompt)
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise RecipeError(f"{str(path)!r}: {'; '.join(problems[:5])}{more}.")
    if not found:
        raise RecipeError(f"{str(path)!r} holds no prompt; write one a line.")
    return tuple(found)


def _object(line: str) -> Prompt:
    """The prompt of a JSON object; raises ValueError that says what is wrong."""
    try:
        values: Any = json.loads(line)
    except ValueError as error:
        raise ValueError(f"no JSON ({error})") from error
    if not isinstance(values, dict) or "prompt" not in values:
        raise ValueError('expected an object such as {"prompt": "a red house", "seed": 7}')
    known = [field.name for field in fields(Prompt)]
    for name, value in values.items():
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; expected {', '.join(known)}"
            raise ValueError(f"unknown key {name[:40]!r}{hint}")
        if type(value) is not _TYPES[name] and not (value is None and name != "prompt"):
            raise ValueError(f"{name} is a {type(value).__name__}, expected {_TYPES[name].__name__}")
    for problem in (
        seed_problem(values.get("seed")),
        text_problem("negative_prompt", values.get("negative_prompt") or ""),
    ):
        if problem:
            raise ValueError(problem)
    return Prompt(**values)
