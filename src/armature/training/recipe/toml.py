"""Values and whole recipes as TOML."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from armature.training.recipe.describe import recipe_keys, tables
from armature.training.recipe.model import Recipe

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 100
_HEAD = (
    "# A recipe of Armature: every key with its value; those that are left out stand as comments.\n"
    "# Relative paths start from the folder in which the training is started.\n"
)
_TITLES = {
    "base": "the frozen model",
    "adapter": "what is trained",
    "data": "what it learns from",
    "cache": "encoded samples on disk",
    "train": "how it is trained",
    "watch": "what is saved and measured on the way",
}


def toml_value(value: Any) -> str:
    """A JSON-like value as TOML on one line; ValueError for None and anything that TOML lacks."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for the one control character that JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_value(one) for one in value)}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{toml_key(name)} = {toml_value(one)}" for name, one in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    raise ValueError(f"{value!r} cannot be written as TOML")


def toml_key(name: str) -> str:
    """A key, quoted where it has to be."""
    return name if _BARE.fullmatch(name) else toml_value(name)


def recipe_text(recipe: Recipe) -> str:
    """The whole recipe as commented TOML, which `load_recipe` reads back as an equal recipe."""
    values = recipe.model_dump(mode="json")
    lines = [_HEAD, _line("run", values["run"])]
    for table in tables():
        lines.append(f"\n[{table}]  # {_TITLES[table]}")
        lines += [_line(f"{table}.{name}", value) for name, value in values[table].items()]
    return "\n".join(lines) + "\n"


def _line(name: str, value: Any) -> str:
    """One key with its meaning behind it, or above it where the line would grow long."""
    key, last = recipe_keys()[name], name.rpartition(".")[2]
    if value is None:
        # TOML has no null: a key that is left out stands as a comment.
        return _comment(f"{last}: {key.meaning}" if key.meaning else f"{last} is left out")
    text = f"{last} = {toml_value(value)}"
    if not key.meaning:
        return text
    if len(text) + len(key.meaning) > _WIDTH:
        return f"{_comment(key.meaning)}\n{text}"
    return f"{text}  # {key.meaning}"


def _comment(words: str) -> str:
    return textwrap.fill(words, _WIDTH + 10, initial_indent="# ", subsequent_indent="#   ", break_long_words=False)
