"""The keys of a recipe as words: what each takes and means, and whole recipes as commented TOML."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

import tomlkit
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from tomlkit.items import Item, Table

from armature.training.recipe.duration import Duration
from armature.training.recipe.model import Recipe

_WIDTH = 100
_HEAD = (
    "A recipe of Armature: every key with its value; those that are left out stand as comments.",
    "Relative paths start from the folder in which the training is started.",
)


@dataclass(frozen=True)
class Key:
    """One key of a recipe.

    name: dotted. expected: what it takes, in words. default: a JSON-ready value; None is "left out".
    required: whether it has to be given. meaning: the description in the recipe's models. text: takes any text.
    """

    name: str
    expected: str
    default: Any
    required: bool
    meaning: str
    text: bool

    @property
    def table(self) -> str:
        """Its table, or "" for a key above all tables."""
        return self.name.rpartition(".")[0]

    @property
    def usual(self) -> str:
        """Its default as TOML, "left out" or "required"."""
        if self.required:
            return "required"
        return "left out" if self.default is None else toml_value(self.default)


@cache
def recipe_keys() -> dict[str, Key]:
    """All keys by their dotted names, in the order of the models."""
    keys = {}
    for name, field in Recipe.model_fields.items():
        inner = table_model(field)
        fields = {name: field} if inner is None else {f"{name}.{key}": one for key, one in inner.model_fields.items()}
        keys.update({dotted: _key(dotted, one) for dotted, one in fields.items()})
    return keys


@cache
def tables() -> dict[str, type[BaseModel]]:
    """The tables of a recipe by name."""
    return {name: inner for name, field in Recipe.model_fields.items() if (inner := table_model(field)) is not None}


def table_model(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a table, None for a plain value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def keys_in_markdown() -> str:
    """The table of all keys as docs/training.md shows it."""
    rows = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for key in recipe_keys().values():
        usual = key.usual if key.required or key.default is None else f"`{key.usual}`"
        rows.append(f"| `{key.name}` | {key.expected} | {usual} | {key.meaning} |")
    return "\n".join(rows) + "\n"


def toml_value(value: Any) -> str:
    """A JSON-like value as TOML on one line; ValueError for None and anything that TOML lacks."""
    return _item(value).as_string()


def recipe_text(recipe: Recipe) -> str:
    """The whole recipe as commented TOML, which `load_recipe` reads back as an equal recipe."""
    values = recipe.model_dump(mode="json")
    document = tomlkit.document()
    for words in _HEAD:
        document.add(tomlkit.comment(words))
    document.add(tomlkit.nl())
    _add(document, "run", values["run"])
    for name, model in tables().items():
        table = tomlkit.table()
        table.comment(_title(model))
        for key, value in values[name].items():
            _add(table, f"{name}.{key}", value)
        document.add(tomlkit.nl())
        document.add(name, table)
    return tomlkit.dumps(document)


def _title(model: type[BaseModel]) -> str:
    """What a table is about: its model's docstring behind the colon. Without docstrings (python -OO) it is missing."""
    return (model.__doc__ or "").partition(": ")[2].strip().rstrip(".")


def _add(place: tomlkit.TOMLDocument | Table, name: str, value: Any) -> None:
    """One key with its meaning behind it, or above it where the line would grow long."""
    meaning, last = recipe_keys()[name].meaning, name.rpartition(".")[2]
    if value is None:
        # TOML has no null: a key that is left out stands as a comment.
        _add_comment(place, f"{last}: {meaning}")
        return
    item = _item(value)
    if len(last) + len(item.as_string()) + len(meaning) + 3 > _WIDTH:
        _add_comment(place, meaning)
    else:
        item.comment(meaning)
    place.add(last, item)


def _add_comment(place: tomlkit.TOMLDocument | Table, words: str) -> None:
    for line in textwrap.wrap(words, _WIDTH + 8, subsequent_indent="  ", break_long_words=False):
        place.add(tomlkit.comment(line))


def _item(value: Any) -> Item:
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for name, one in value.items():
            table.add(name, _item(one))
        return table
    if isinstance(value, (list, tuple)):
        array = tomlkit.array()
        array.extend(_item(one) for one in value)
        return array
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError(f"{value!r} cannot be written as TOML")
    return tomlkit.item(value)


def _key(name: str, field: FieldInfo) -> Key:
    required = field.is_required()
    default = None if required else field.get_default(call_default_factory=True)
    if isinstance(default, Duration):
        default = str(default)
    return Key(
        name=name,
        expected=_expected(field.annotation, field.metadata),
        default=list(default) if isinstance(default, tuple) else default,
        required=required,
        meaning=field.description or "",
        text=_without_none(field.annotation) == [str],
    )


def _expected(annotation: Any, metadata: list[Any]) -> str:
    """A type and its limits in words."""
    kinds = _without_none(annotation)
    if choices := [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]:
        return _one_of(choices)
    kind = kinds[0]
    if kind is Duration:
        never = ", or 'never'" if len(kinds) < len(get_args(annotation)) else ""
        return f"a length such as '500 steps', '3 epochs' or '45 minutes'{never}"
    if get_origin(kind) is tuple:
        first = get_args(kind)[0]
        inner = getattr(first, "__metadata__", ())
        limits = [limit for one in inner for limit in (one.metadata if isinstance(one, FieldInfo) else [one])]
        plain = get_args(first)[0] if inner else first
        return f"two numbers [a, b], each {_expected(plain, limits)}"
    if get_origin(kind) is dict:
        return "a table of the extractor's options"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[kind]
    return f"{words}{_limits(metadata)}"


def _one_of(choices: Sequence[Any]) -> str:
    return f"one of {', '.join(str(choice) for choice in choices)}"


def _without_none(annotation: Any) -> list[Any]:
    """The members of a union, None left out."""
    plain = get_origin(annotation) in (None, Literal, tuple, dict)
    return [annotation] if plain else [kind for kind in get_args(annotation) if kind is not type(None)]


def _limits(metadata: list[Any]) -> str:
    parts = []
    for one in metadata:
        if isinstance(one, Ge):
            parts.append(f"at least {one.ge}")
        elif isinstance(one, Gt):
            parts.append(f"above {one.gt}")
        elif isinstance(one, Le):
            parts.append(f"at most {one.le}")
        elif isinstance(one, Lt) and one.lt != 2**63:
            parts.append(f"below {one.lt}")
    return "".join(f", {part}" for part in parts)
