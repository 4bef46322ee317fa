"""From a TOML file, a mapping or a recipe, and overrides, to a checked recipe; all mistakes are told together."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from armature.errors import RecipeError, readable
from armature.files import local_path
from armature.foreign import check_depth
from armature.training.recipe.describe import recipe_keys, tables, toml_value
from armature.training.recipe.model import Recipe
from armature.training.recipe.names import find_key, former_key, unknown_key

_LONGEST, _MOST_DOTS = 200_000, 500
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
# Stand-ins for required keys that are missing or wrong, so that the other rules are still looked at.
_STAND_INS = {"run": "run", "base.model": "embedded", "adapter.kind": "sketch", "data.source": "toyworld"}


class RecipeMistakesError(RecipeError):
    """Every mistake that was found in a recipe, told together.

    where: the recipe, as the user named it. mistakes: one sentence each, which starts with the dotted key.
    lines: what the command line prints, one line each.
    """

    def __init__(self, where: str, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        self.lines = tuple(readable(line) for line in (f"{where} has {count}:", *self.mistakes))
        super().__init__("\n  ".join(self.lines))


def load_recipe(source: str | Path | Mapping[str, Any] | Recipe, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    source: path of a TOML file, its content as a mapping, or a recipe. overrides: see `apply_overrides`.
    Relative paths in it are relative to the current directory, wherever the file lies.
    Raises RecipeError for a file that cannot be read; RecipeMistakesError, which tells all mistakes, for its content.
    """
    values, where = _read(source)
    mistakes = apply_overrides(values, overrides)
    mistakes += _drop_unknown(values)
    recipe, more = _validate(values)
    mistakes += more
    if recipe is None or mistakes:
        raise RecipeMistakesError(where, mistakes)
    return recipe


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
        dotted, mistake = find_key(name.strip())
        if dotted is None or (mistake := _set(values, dotted, text.strip())):
            mistakes.append(mistake)
    return mistakes


def _read(source: str | Path | Mapping[str, Any] | Recipe) -> tuple[dict[str, Any], str]:
    """Nested values that may be changed, and how messages call the source."""
    if isinstance(source, Recipe):
        return source.model_dump(mode="json"), "The recipe"
    if isinstance(source, Mapping):
        try:
            check_depth(source)
            return _plain(source), "The recipe"
        except ValueError as error:
            raise RecipeError(f"The recipe cannot be used: {error}.") from error
    path = local_path(source, RecipeError)
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise RecipeError(
            f"The recipe {str(source)!r} cannot be read: {reason}; give the path of a TOML file."
        ) from error
    try:
        return _plain(_parsed(text)), str(source)
    except ValueError as error:
        raise RecipeError(f"The recipe {str(source)!r} is no TOML: {error}; correct that line.") from error


def _parsed(text: str) -> dict[str, Any]:
    """The content of a TOML text. Raises ValueError, in words, for every text that cannot be read."""
    # Reading takes the square of a dotted key's length.
    if len(text) > _LONGEST or any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ValueError(f"it is longer than {_LONGEST} letters, or has more than {_MOST_DOTS} dots in a line")
    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    check_depth(values)
    return values


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a mapping may hold is what TOML may hold; lengths, paths and dates are text there. A copy.

    Raises ValueError for whole numbers of more than 64 bits, which TOML has not.
    """
    plain = json.loads(json.dumps(values, default=str))
    level: list[Any] = [plain]
    while level:
        one = level.pop()
        if isinstance(one, dict):
            level += one.values()
        elif isinstance(one, list):
            level += one
        elif isinstance(one, int) and not _LOWEST <= one <= _HIGHEST:
            raise ValueError(f"it holds a number of {len(str(abs(one)))} digits; whole numbers have at most 64 bits")
    return plain


def _drop_unknown(values: dict[str, Any]) -> list[str]:
    """Take unknown keys out of the values; one mistake each, with the nearest name."""
    mistakes = []
    known = recipe_keys()
    for name, value in list(values.items()):
        if name in tables() and isinstance(value, dict):
            # By table and key: a foreign name may hold dots of its own.
            wrong = [key for key in value if f"{name}.{key}" not in known]
            mistakes += [unknown_key(f"{name}.{key}") for key in wrong]
            for key in wrong:
                del value[key]
        elif "." in name or name not in (*known, *tables()):
            if name in known:
                mistakes.append(f"'{name}' in quotes is one name with a dot in it; write it without quotes")
            elif not isinstance(value, dict):
                mistakes.append(unknown_key(name))
            elif former_key(name) is not None:
                mistakes += [unknown_key(f"{name}.{key}") for key in value]
            else:
                mistakes.append(f"[{name}] is no table of a recipe; expected {', '.join(tables())}")
            del values[name]
    return mistakes


def _validate(values: dict[str, Any]) -> tuple[Recipe | None, list[str]]:
    """The recipe, or None; and the mistakes. Rules between keys are looked at even where single keys are wrong."""
    recipe, single, together = _attempt(values)
    if not single:
        return recipe, together
    repaired = json.loads(json.dumps(values))
    for name in single:
        _pop(repaired, name)
        for required, stand_in in _STAND_INS.items():
            if required == name or required.startswith(f"{name}."):
                _put(repaired, required, stand_in)
    if {"adapter", "adapter.kind", "data.extractor"} & set(single):
        # Nobody can say whether the options are right without the extractor.
        _pop(repaired, "data.extract")
    return None, [*single.values(), *_attempt(repaired)[2]]


def _attempt(values: dict[str, Any]) -> tuple[Recipe | None, dict[str, str], list[str]]:
    """The recipe, or None; mistakes of single keys by dotted name; and those of several keys together."""
    try:
        # Strict JSON takes lists for pairs and whole numbers for numbers, and no text or truth value for either.
        return Recipe.model_validate_json(json.dumps(values), strict=True), {}, []
    except ValidationError as error:
        single: dict[str, str] = {}
        together: list[str] = []
        for one in error.errors():
            context = one.get("ctx", {})
            if not one["loc"]:
                together += str(context.get("error", one["msg"])).split("\n")
                continue
            name, text = _sentence(one["loc"], one["type"], context, values)
            single.setdefault(name, text)
        return None, single, together


def _sentence(place: tuple[int | str, ...], sort: str, context: Mapping[str, Any], values: Any) -> tuple[str, str]:
    """The key that an error of pydantic is about, and the mistake in words."""
    parts = [str(part) for part in place]
    if parts[0] in tables() and len(parts) == 1:
        if sort == "missing":
            wanted = [key.name for key in recipe_keys().values() if key.table == parts[0] and key.required]
            return parts[0], f"{' and '.join(wanted)} is missing; expected {recipe_keys()[wanted[0]].meaning}"
        return parts[0], f"{parts[0]} is {_shown(values[parts[0]])}; expected a table, [{parts[0]}] with its keys"
    name = parts[0] if parts[0] in recipe_keys() else ".".join(parts[:2])
    key = recipe_keys()[name]
    if sort == "missing":
        return name, f"{name} is missing; expected {key.meaning or key.expected}"
    given = _get(values, name)
    if name == "data.extract" and isinstance(given, dict) and len(parts) > 2:
        option = f"{name}.{parts[2]}"
        return option, f"{option} is {_shown(given.get(parts[2]))}; expected a value, or two numbers [low, high]"
    if sort == "value_error" and "error" in context:
        return name, f"{name}: {str(context['error']).rstrip('.')}"
    return name, f"{name} is {_shown(given)}; expected {key.expected}"


def _shown(value: Any) -> str:
    try:
        text = toml_value(value)
    except ValueError:
        text = "null"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _get(values: Any, name: str) -> Any:
    for part in name.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    *way, last = name.split(".")
    for table in way:
        values = values.setdefault(table, {})
    values[last] = value


def _pop(values: dict[str, Any], name: str) -> None:
    *way, last = name.split(".")
    for table in way:
        values = values.get(table, {})
    values.pop(last, None)


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
        parsed = _plain(_parsed(f"value = {text}"))
    except ValueError:
        return text
    value = parsed["value"]
    return text if len(parsed) > 1 or (plain and not isinstance(value, str)) else value
