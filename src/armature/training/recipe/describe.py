"""The keys of a recipe as words: what each one takes, what it means, and which one a wrong name was meant for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from armature.training.recipe.duration import Duration
from armature.training.recipe.model import Recipe

# What other trainers call things.
_OTHER_NAMES = {
    "lr": "train.learning_rate",
    "rate": "train.learning_rate",
    "max_steps": "train.length",
    "max_train_steps": "train.length",
    "num_train_epochs": "train.length",
    "epochs": "train.length",
    "minutes": "train.length",
    "batch_size": "train.batch",
    "train_batch_size": "train.batch",
    "gradient_accumulation_steps": "train.accumulate",
    "gradient_checkpointing": "train.checkpoint_gradients",
    "max_grad_norm": "train.clip",
    "lr_scheduler": "train.schedule",
    "lr_warmup_steps": "train.warmup",
    "mixed_precision": "train.precision",
    "snr_gamma": "train.min_snr",
    "dataloader_num_workers": "train.workers",
    "size": "data.resolution",
    "images": "data.source",
    "path": "data.source",
    "output": "run",
    "output_dir": "run",
    "pretrained_model_name_or_path": "base.model",
    "checkpointing_steps": "watch.save",
    "validation_steps": "watch.preview",
}


@dataclass(frozen=True)
class Key:
    """One key of a recipe.

    name: dotted. expected: what it takes, in words. default: a JSON-ready value; None is "left out".
    required: whether it has to be given. meaning: one clause from the models' docstrings. text: takes any text.
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


@cache
def recipe_keys() -> dict[str, Key]:
    """All keys by their dotted names, in the order of the models."""
    found = {}
    for name, field in Recipe.model_fields.items():
        inner = table_model(field)
        fields = {name: field} if inner is None else {f"{name}.{key}": one for key, one in inner.model_fields.items()}
        words = _meanings(Recipe if inner is None else inner)
        for dotted, one in fields.items():
            found[dotted] = _key(dotted, one, words.get(dotted.rpartition(".")[2], ""))
    return found


@cache
def tables() -> dict[str, type[BaseModel]]:
    """The tables of a recipe by name."""
    return {name: inner for name, field in Recipe.model_fields.items() if (inner := table_model(field)) is not None}


def table_model(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a table, None for a plain value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def nearest_key(name: str) -> str | None:
    """The key that a wrong dotted name was probably meant for, or None."""
    keys = recipe_keys()
    last = name.rpartition(".")[2]
    if last in _OTHER_NAMES:
        return _OTHER_NAMES[last]
    # A right name in a wrong table, then a wrong name in a right one, then anything that looks alike.
    if moved := [key for key in keys if key.rpartition(".")[2] == last]:
        return moved[0]
    beside = [key for key in keys if key.rpartition(".")[0] == name.rpartition(".")[0]]
    near = get_close_matches(name, beside, n=1, cutoff=0.6) or get_close_matches(name, list(keys), n=1, cutoff=0.6)
    if near:
        return near[0]
    ends = {key.rpartition(".")[2]: key for key in reversed(keys)}
    return next((ends[end] for end in get_close_matches(last, list(ends), n=1, cutoff=0.7)), None)


def _key(name: str, field: FieldInfo, meaning: str) -> Key:
    required = field.is_required()
    default = None if required else field.get_default(call_default_factory=True)
    if isinstance(default, Duration):
        default = str(default)
    kinds = _without_none(field.annotation)
    return Key(
        name=name,
        expected=_expected(field.annotation, field.metadata),
        default=list(default) if isinstance(default, tuple) else default,
        required=required,
        meaning=meaning,
        text=kinds == [str],
    )


def _expected(annotation: Any, metadata: list[Any]) -> str:
    """A type and its limits in words."""
    kinds = _without_none(annotation)
    if choices := [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]:
        return f"one of {', '.join(str(choice) for choice in choices)}"
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


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """What each field means: the clause after its name in the model's docstring; fields may share one."""
    # Without docstrings (python -OO) the words are missing, and nothing else.
    text = " ".join((model.__doc__ or "").split())
    name = "|".join(sorted(model.model_fields, key=len, reverse=True))
    heads = list(re.finditer(rf"(?:^|(?<=[ ]))((?:(?:{name}), )*(?:{name})): ", text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found = {}
    for head, end in zip(heads, ends, strict=True):
        clause = text[head.end() : end].strip().rstrip(".;")
        found.update(dict.fromkeys(head[1].split(", "), clause))
    return found
