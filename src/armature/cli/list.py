"""`armature list`: what there is to choose from, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any

import typer

from armature.errors import ArmatureError


class Things(StrEnum):
    """What can be listed."""

    kinds = "kinds"
    extractors = "extractors"
    adapters = "adapters"
    samplers = "samplers"
    words = "words"


def list_things(
    what: Annotated[
        str, typer.Argument(help=f"What to list: {', '.join(Things)}.", autocompletion=lambda: list(Things))
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """List what there is to choose from.

    Kinds of control, extractors, shipped adapters, samplers, or the embedded base's words."""
    if what not in [*Things]:
        near = get_close_matches(what, list(Things), 1)
        raise ArmatureError(
            f"There is no list of {what!r}; expected one of {', '.join(Things)}."
            + (f" Did you mean {str(near[0])!r}?" if near else "")
        )
    rows = _ROWS[Things(what)]()
    if as_json:
        typer.echo(json.dumps(rows))
        return
    # Columns as wide as they need to be: what a terminal's width would cut, a pipe would lose.
    table = [[_words(value) for value in row.values()] for row in rows]
    head = [name.replace("_", " ") for name in (rows[0] if rows else {})]
    widths = [max(map(len, column)) for column in zip(head, *table, strict=True)]
    for line in [head, *table] if rows else []:
        typer.echo("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def _kinds() -> list[dict[str, Any]]:
    from armature.conditions.kinds import KINDS, find_kind
    from armature.embedded.paths import embedded_adapter_kinds

    shipped = embedded_adapter_kinds()
    return [
        {
            "name": kind.name,
            "summary": kind.summary,
            "extractor": kind.extractor,
            "embedded_adapter": kind.name in shipped,
            "aliases": list(kind.aliases),
        }
        for kind in map(find_kind, KINDS.names())
    ]


def _extractors() -> list[dict[str, Any]]:
    from armature.conditions.registry import extractor_names, find_extractor

    return [
        {
            "name": one.name,
            "kind": one.kind,
            "summary": one.summary,
            "version": one.version,
            "weights": [weights.source for weights in one.weights],
            "options": {option.name: option.default for option in one.options},
        }
        for one in map(find_extractor, extractor_names())
    ]


def _adapters() -> list[dict[str, Any]]:
    from armature.checkpoints.inspect import inspect
    from armature.embedded.paths import embedded_adapter_kinds

    found = [inspect(f"embedded:{kind}") for kind in embedded_adapter_kinds()]
    return [
        {
            "name": f"embedded:{kind}",
            "network": one.network,
            "family": one.family,
            "parameters": one.parameters,
            "megabytes": round(one.size / 1e6, 1),
        }
        for kind, one in zip(embedded_adapter_kinds(), found, strict=True)
    ]


def _samplers() -> list[dict[str, Any]]:
    from armature.generation.samplers import SAMPLERS

    return [{"name": one.name, "title": one.title, "scheduler": one.scheduler} for one in SAMPLERS.values()]


def _words_of_the_embedded_base() -> list[dict[str, Any]]:
    from armature.bases.card import card_of

    return [{"name": word} for word in card_of(None).words]


_ROWS: dict[Things, Callable[[], list[dict[str, Any]]]] = {
    Things.kinds: _kinds,
    Things.extractors: _extractors,
    Things.adapters: _adapters,
    Things.samplers: _samplers,
    Things.words: _words_of_the_embedded_base,
}


def _words(value: Any) -> str:
    """One value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}={default}" for name, default in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
