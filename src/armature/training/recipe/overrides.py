"""`key=value` on the command line: which key is meant, and which value."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from armature.training.recipe.describe import nearest_key, recipe_keys, tables

# A table's own name stands for the key that it is about.
_MAIN_KEYS = {"data": "data.source", "base": "base.model"}
# Names that exist once, but make most people think of something else; these need their table.
_AMBIGUOUS = {"steps": "train.length='1000 steps'", "folder": "data.source or cache.folder", "enabled": "cache.enabled"}


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> list[str]:
    """Set the overrides in the nested values of a recipe, later ones last.

    overrides: "train.batch=4"; a key that only one table has may go without it ("batch=4"), "data=" means data.source
    and "base=" base.model. Values are TOML where they parse as TOML, text otherwise; nothing after "=" takes a key
    out again, so that its default holds. Returns the mistakes, one sentence each; wrong overrides change nothing.
    """
    mistakes = []
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not name.strip():
            mistakes.append(f"{override!r} is no override; write key=value, as in train.batch=4")
            continue
        dotted, mistake = _find(name.strip())
        if dotted is None or (mistake := _set(values, dotted, text.strip())):
            mistakes.append(mistake)
    return mistakes


def _find(name: str) -> tuple[str | None, str]:
    """The dotted key of a short or dotted name, or None and what is wrong with it."""
    keys = recipe_keys()
    if name in _MAIN_KEYS:
        return _MAIN_KEYS[name], ""
    if name in keys or name.startswith("data.extract."):
        return name, ""
    if name in tables():
        return None, f"{name} is a table; name one of its keys, as in {_first_key(name)}=..."
    if "." not in name:
        if name in _AMBIGUOUS:
            return None, f"{name} may mean several things; write {_AMBIGUOUS[name]}"
        found = [key for key in keys if key.rpartition(".")[2] == name]
        if len(found) == 1:
            return found[0], ""
        if found:
            return None, f"{name} may mean several things; write {' or '.join(found)}"
    return None, f"{name} is no key of a recipe{_hint(name)}"


def _hint(name: str) -> str:
    near = nearest_key(name)
    if near is None and (tables_like := get_close_matches(name, list(_MAIN_KEYS), n=1)):
        near = tables_like[0]
    return "" if near is None else f"; did you mean {near}?"


def _first_key(table: str) -> str:
    return next(key for key in recipe_keys() if key.startswith(f"{table}."))


def _set(values: dict[str, Any], dotted: str, text: str) -> str:
    """Put one value in its place; returns what is wrong, or ""."""
    *tables_on_the_way, last = dotted.split(".")
    place: Any = values
    for table in tables_on_the_way:
        place = place.setdefault(table, {})
        if not isinstance(place, dict):
            return f"{dotted} cannot be set, because the recipe gives {table} as a plain value; write [{table}]"
    if text:
        place[last] = _value(text, plain=dotted in recipe_keys() and recipe_keys()[dotted].text)
    else:
        place.pop(last, None)
    return ""


def _value(text: str, *, plain: bool) -> Any:
    """plain: the key takes any text, so that 2024 and true are words there; quotes are still taken off."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = parsed["value"]
    return text if len(parsed) > 1 or (plain and not isinstance(value, str)) else value
