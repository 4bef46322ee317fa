"""What an extractor declares: its options, the weights it needs, what comes out, and its version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from armature.conditions.contract import InputContract
from armature.errors import ConditionError

if TYPE_CHECKING:
    from PIL import Image

Value = float | int | bool | str | None


@dataclass(frozen=True)
class Option:
    """One setting of an extractor.

    default: its value when not given; None means "chosen from the picture" where `optional` allows it.
    low, high: inclusive range of a number. choices: the only values of a string, if not empty.
    words: what it does and its unit.
    """

    name: str
    default: Value
    words: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    number: type[int] | type[float] = float

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, or None."""
        if value is None:
            return None if self.optional else f"{self.name} must not be None"
        if isinstance(self.default, bool):
            return None if isinstance(value, bool) else f"{self.name}={value!r} must be true or false"
        if self.low is None and self.high is None:
            if self.choices and value not in self.choices:
                return f"{self.name}={value!r} is not one of {', '.join(self.choices)}"
            return None if isinstance(value, str) else f"{self.name}={value!r} must be a string"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"{self.name}={value!r} must be a number"
        if self.number is int and value != int(value):
            return f"{self.name}={value!r} must be a whole number"
        # Written so that NaN fails as well.
        if not ((self.low is None or value >= self.low) and (self.high is None or value <= self.high)):
            return f"{self.name}={value!r} must lie in {self.low:g}..{self.high:g}"
        return None

    def parse(self, text: str) -> Value:
        """The value that a command line's text stands for; a text that fits nothing stays a string."""
        if text.lower() in ("none", "auto") and self.optional:
            return None
        if isinstance(self.default, bool):
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
                text.lower(), text
            )
        if self.low is None and self.high is None:
            return text
        try:
            return self.number(text)
        except ValueError:
            return text


_NOTES = "armature_notes"


def with_notes(picture: Image.Image, notes: Iterable[str]) -> Image.Image:
    """The map with sentences on what its picture needed, which `notes_of` gives and `armature extract` tells."""
    picture.info[_NOTES] = tuple(dict.fromkeys(notes))
    return picture


def notes_of(picture: Image.Image) -> tuple[str, ...]:
    """What an extractor noted on its map; empty where there is nothing to tell."""
    return tuple(picture.info.get(_NOTES, ()))


@dataclass(frozen=True)
class Weights:
    """A weight file or folder that an extractor loads.

    source: hub id, or file name for published .pth files. megabytes: its download size.
    home: where it can be had. licence: under which terms.
    """

    source: str
    megabytes: float
    home: str
    licence: str


@dataclass(frozen=True)
class Extractor:
    """A way from a picture to a condition map.

    name: lower case, words joined by underscores; "PLACE:KIND" where one of a kind serves pictures of one place only.
    kind: the kind of control it makes.
    run: takes a PIL picture ("L" or "RGB") and every option by keyword; gives the map at the picture's size.
    contract: what comes out (channels, range, polarity, palette).
    version: raised whenever the same picture would give another map; part of metadata and cache keys.
    offline: name of the extractor of the same kind that works without weights, or None.
    aliases: other names, of other tools above all, with the settings that each stands for.
    presets: settings that take the place of the options' defaults.
    """

    name: str
    kind: str
    summary: str
    run: Callable[..., Image.Image]
    contract: InputContract
    options: tuple[Option, ...] = ()
    version: int = 1
    weights: tuple[Weights, ...] = ()
    offline: str | None = None
    licence: str = "Apache-2.0"
    aliases: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    presets: Mapping[str, Value] = field(default_factory=dict)

    def settings(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options with their values, defaults filled in.

        Raises ConditionError that lists every unknown name and every wrong value together.
        """
        known = {option.name: option for option in self.options}
        problems = [f"{name} is no option" for name in options if name not in known]
        complete: dict[str, Any] = {name: option.default for name, option in known.items()}
        complete.update(self.presets)
        for name, value in options.items():
            if name in known:
                problem = known[name].problem(value)
                if problem:
                    problems.append(problem)
                complete[name] = value
        if problems:
            have = ", ".join(known) or "none"
            raise ConditionError(f"Extractor {self.name!r}: {'; '.join(problems)}. Its options: {have}.")
        return complete

    def metadata(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What to store beside a map: extractor, version, kind and settings, ready for JSON."""
        return {"extractor": self.name, "version": self.version, "kind": self.kind, "settings": dict(settings)}
