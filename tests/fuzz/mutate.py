"""Damage of every sort: to bytes, to JSON-like values, and to the text that they become."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from typing import Any

# Numbers as they may stand in a text, some of which no reader should take for one.
NUMBERS = (
    "0", "-0.0", "-1", "1", "2", "0.5", "1e-320", "1e308", "1e400", "-1e400", "NaN", "Infinity", "-Infinity",
    "2147483648", "4294967295", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e18",
    "9" * 400, "9" * 5000, "-" + "9" * 5000, "0." + "3" * 3000, "1" + "0" * 30,
)  # fmt: skip
TEXTS = (
    "", " ", "a", "\x00", "a\x00b", "\x1b[31mred\x1b[0m\x07", "\u202egnp.exe", "\ud800", "caf\udce9", "é" * 300,
    "x" * 300, "x" * 70_000, "../secret/secret.txt", "/etc/passwd", "~nosuchuser/a", "C:\\con", "-", "--help",
    "%s%n{0}", "embedded:", "NaN", "\n\n", "\ufeff", "🐕" * 50, "a/../../secret/secret.txt", "file:///etc/passwd",
    "$(touch harmed)", "'\"`",
)  # fmt: skip
_WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Raw(str):
    """A text that `json_text` writes as it stands, without quotes."""


def damaged(rng: random.Random, data: bytes, times: int | None = None) -> bytes:
    """Bytes with a few accidents: flipped bits, cuts, repeats, odd numbers, noise, and an end too early or too late."""
    changed = bytearray(data)
    for _ in range(times or rng.choice((1, 1, 2, 3, 8))):
        if not changed:
            return bytes(rng.randbytes(rng.randrange(64)))
        at = rng.randrange(len(changed))
        length = min(len(changed) - at, rng.choice((1, 2, 4, 16, 200)))
        match rng.randrange(9):
            case 0 | 1:
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                changed[at : at + 4] = struct.pack(rng.choice(("<I", ">I")), rng.choice(_WORDS))
            case 5:
                changed[at : at + 2] = struct.pack(rng.choice(("<H", ">H")), rng.choice(_WORDS) & 0xFFFF)
            case 6:
                changed[at : at + length] = rng.randbytes(length)
            case 7:
                changed[at : at + length] = bytes(length)
            case _:
                if rng.random() < 0.7:
                    del changed[at:]
                else:
                    changed += rng.randbytes(length)
    return bytes(changed)


def odd_value(rng: random.Random, depth: int = 0) -> Any:
    """A value that hardly anybody expects, JSON-ready but for `Raw` numbers."""
    match rng.randrange(10 if depth < 3 else 6):
        case 0 | 1:
            return Raw(rng.choice(NUMBERS))
        case 2:
            return rng.choice(TEXTS)
        case 3:
            return rng.choice((None, True, False))
        case 4:
            return rng.choice(([], {}, [[]], [None], {"": {}}))
        case 5:
            return rng.choice((rng.randrange(-9, 99), rng.random()))
        case 6:
            return [odd_value(rng, depth + 1) for _ in range(rng.randrange(5))]
        case 7:
            return {rng.choice(TEXTS): odd_value(rng, depth + 1) for _ in range(rng.randrange(4))}
        case 8:
            deep = rng.choice((20, 500, 2000, 100_000))
            opened, closed = rng.choice((("[", "]"), ('{"a":', "}")))
            return Raw(opened * deep + ("1" if opened != "[" else "") + closed * deep)
        case _:
            return [odd_value(rng, 9)] * rng.choice((2, 20, 300))


def odd_values(rng: random.Random, value: Any, times: int | None = None) -> Any:
    """A JSON-like value with a few of its parts replaced, removed, doubled, renamed or wrapped."""
    root = [json.loads(json.dumps(value))]
    for _ in range(times or rng.choice((1, 1, 1, 2, 3, 6))):
        place, key = rng.choice(_places(root))
        match rng.randrange(8):
            case 0 | 1 | 2 | 3:
                place[key] = odd_value(rng)
            case 4:
                if place is not root:
                    del place[key]
            case 5:
                place[key] = [place[key]]
            case 6:
                if isinstance(place, dict):
                    place[rng.choice(TEXTS)] = place.pop(key)
                else:
                    place.insert(rng.randrange(len(place) + 1) if place is not root else 1, place[key])
            case _:
                other, its = rng.choice(_places(root))
                if isinstance(other[its], (str, int, float, bool)) or other[its] is None:
                    place[key] = other[its]
    return root[0]


def _places(root: list[Any]) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value; long lists by some of their members."""
    found: list[tuple[Any, Any]] = []
    waiting: list[Any] = [root]
    while waiting and len(found) < 2000:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else list(range(1 if one is root else len(one)))[:60]
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys if isinstance(one[key], (dict, list))]
    return found


def json_text(value: Any, **options: Any) -> bytes:
    """JSON with its `Raw` numbers as they stand; lone surrogates are escaped, as other writers do."""
    marks: list[str] = []

    def marked(one: Any) -> Any:
        if isinstance(one, Raw):
            marks.append(str(one))
            return f"@raw {len(marks) - 1}@"
        if isinstance(one, dict):
            return {str(key): marked(inner) for key, inner in one.items()}
        return [marked(inner) for inner in one] if isinstance(one, (list, tuple)) else one

    text = re.sub(r'"@raw (\d+)@"', lambda found: marks[int(found[1])], json.dumps(marked(value), **options))
    return text.encode("utf-8", "surrogatepass")


def odd_json(rng: random.Random, value: Any) -> bytes:
    """A JSON text of which some part is wrong: a value, or now and then the text itself."""
    text = json_text(odd_values(rng, value) if rng.random() < 0.85 else value)
    return damaged(rng, text) if rng.random() < 0.2 else text


def one_of(rng: random.Random, *ways: tuple[float, Callable[[], Any]]) -> Any:
    """What one of the ways gives, chosen by weight."""
    return rng.choices([way for _, way in ways], [weight for weight, _ in ways])[0]()
