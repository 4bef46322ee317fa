"""The text of a --control option, and of the other options that hold more than one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from armature.conditions.kinds import canonical_kind
from armature.errors import RecipeError
from armature.files import local_path

USAGE = (
    "KIND=IMAGE[,weight=W][,start=S][,end=E][,levels=A/B/C/D][,mask=FILE][,fit=crop|pad][,guidance_half=conditional]"
    "[,extract]"
)


def parse_control(text: str) -> tuple[str, Path, dict[str, Any]]:
    """Kind, picture and options, as `armature.generate` takes them, of "sketch=drawing.png,weight=0.8,end=0.6".

    Commas in file names are allowed where what follows does not look like name=value.
    Raises ConditionError for an unknown kind, RecipeError for unknown options and values that are no numbers.
    """
    kind, equals, rest = text.partition("=")
    if not equals or not rest.strip():
        raise RecipeError(f"--control {text!r} names no picture; expected {USAGE}.")
    kind = canonical_kind(kind)
    image, options = _split(rest, text)
    values: dict[str, Any] = {}
    for name, value in options:
        if name in values:
            raise RecipeError(f"--control {text!r} gives {name} twice; give it once.")
        values[name] = _OPTIONS[name](value, f"--control {kind}: {name}")
    return kind, local_path(image, RecipeError), values


def parse_adapters(texts: Sequence[str]) -> dict[str, str]:
    """Adapters by kind from "KIND=REF" texts; raises RecipeError and ConditionError like `parse_control`."""
    adapters: dict[str, str] = {}
    for text in texts:
        kind, equals, source = text.partition("=")
        if not equals or not source:
            raise RecipeError(f"--adapter {text!r} is not KIND=REF; for example sketch=my_adapter.safetensors.")
        kind = canonical_kind(kind)
        if kind in adapters:
            raise RecipeError(f"--adapter is given twice for {kind}; give it once.")
        adapters[kind] = source
    return adapters


def parse_size(text: str | None) -> tuple[int, int] | None:
    """(width, height) from "WxH" or "N"; raises RecipeError for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})(?:[xX](\d{1,6}))?", text.strip())
    if not match:
        raise RecipeError(f"--size is {text!r}; expected WxH in pixels, such as 512x768.")
    width = int(match[1])
    return width, int(match[2]) if match[2] else width


def _split(rest: str, text: str) -> tuple[str, list[tuple[str, str]]]:
    """The picture and the (name, value) options after it."""
    pieces = rest.split(",")
    image, options = pieces[0], []
    for piece in pieces[1:]:
        name, equals, value = piece.partition("=")
        name = name.strip()
        if name in _OPTIONS and (equals or name == "extract"):
            options.append((name, value))
        elif options or equals or Path(image).exists():
            near = get_close_matches(name, _OPTIONS, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RecipeError(f"--control {text!r} has an unknown option {piece!r}; expected {USAGE}.{hint}")
        else:
            image = f"{image},{piece}"
    return image, options


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise RecipeError(f"{where} is {text!r}; expected a number.") from error


def _file(text: str, where: str) -> Path:
    if not text:
        raise RecipeError(f"{where} names no file.")
    return local_path(text, RecipeError)


def _text(text: str, where: str) -> str:
    return text


def _extractor(text: str, where: str) -> bool | str:
    return text or True


_OPTIONS: dict[str, Callable[[str, str], Any]] = {
    "weight": _number,
    "start": _number,
    "end": _number,
    "levels": _text,
    "mask": _file,
    "fit": _text,
    "guidance_half": _text,
    "extract": _extractor,
}
