"""JSON that others wrote: read within bounds, so that nothing in it can fail later than here."""

from __future__ import annotations

import json
import math
from typing import Any

# Nobody writes such by hand or by program; recursive code, the standard library's own included, ends at about 300.
_DEEPEST = 64
_LONGEST_NUMBER = 20


def read_json(text: str | bytes, *, finite: bool = True) -> Any:
    """The value of a JSON text. finite: NaN and infinity, which are no JSON, are refused, and so are numbers so large
    that they become infinite.

    Raises ValueError, in words, for everything else as well: another text, values nested more than 64 deep, whole
    numbers of more than 20 digits.
    """
    check = {"parse_constant": _no_number, "parse_float": _finite} if finite else {}
    try:
        value = json.loads(text, parse_int=_whole, **check)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {_DEEPEST} deep") from error
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Raise ValueError for lists and mappings that are nested more than 64 deep; asks without recursion."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {_DEEPEST} deep")


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"it holds a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"it holds the number {digits[:_LONGEST_NUMBER]}, which is too large")
    return number


def _no_number(word: str) -> float:
    raise ValueError(f"it holds {word}, which is no number of JSON")
