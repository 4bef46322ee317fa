"""What a base says of itself beside its weights: its name, and the settings at which it is at its best."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from armature.embedded.paths import embedded_base_path
from armature.errors import CheckpointError
from armature.files import local_path
from armature.foreign import read_json

EMBEDDED = "embedded"
CARD = "armature.json"


@dataclass(frozen=True)
class BaseCard:
    """The content of armature.json in a base's folder; everything may be missing.

    name: what the base is called wherever it lies; "embedded" is the shipped one. guidance, steps, sampler: to use when
    none is asked for. words: all that it learnt, in lower case; empty for a base that knows the language at large.
    """

    name: str = ""
    guidance: float | None = None
    steps: int | None = None
    sampler: str | None = None
    words: tuple[str, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether this is the shipped base, for which the shipped adapters are made."""
        return self.name == EMBEDDED

    def unknown_words(self, text: str) -> dict[str, str | None]:
        """The words of a text that the base never learnt, each with the known one that is spelt most like it, if any.

        Empty for a base that does not say what it knows.
        """
        if not self.words:
            return {}
        found = (word for word in words_of(text) if word not in self.words)
        return {word: next(iter(get_close_matches(word, self.words, n=1, cutoff=0.7)), None) for word in found}


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, each once, in their order; "cut-out" is one."""
    return tuple(dict.fromkeys(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower())))


def card_of(source: Any) -> BaseCard:
    """The card of a base, before it is opened or after; an empty one where it has none.

    source: None or "embedded", a folder, or a pipeline, which is known by the folder that its U-Net came from. Every
    other source has no card. Raises CheckpointError for a damaged one.
    """
    if source is None or source == EMBEDDED:
        return _read(embedded_base_path())
    if isinstance(source, (str, Path)):
        return _read(local_path(source, CheckpointError))
    config = getattr(getattr(source, "unet", None), "config", None)
    origin = config.get("_name_or_path") if config is not None else None
    return _read(Path(origin).parent) if origin else BaseCard()


def _read(folder: Path) -> BaseCard:
    path = folder / CARD
    if not path.is_file():
        return BaseCard()
    try:
        values = read_json(path.read_text(encoding="utf-8"))
        kinds = {"name": str, "guidance": (int, float), "steps": int, "sampler": str, "words": tuple}
        if isinstance(values.get("words"), list):
            values["words"] = tuple(str(word) for word in values["words"])
        known = {one.name: values[one.name] for one in fields(BaseCard) if values.get(one.name) is not None}
        if wrong := [name for name, value in known.items() if not isinstance(value, kinds[name])]:
            raise ValueError(f"{wrong[0]} is {known[wrong[0]]!r}")
        return BaseCard(**known)
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is no readable card of a base ({error}); restore it, or remove it.") from error
