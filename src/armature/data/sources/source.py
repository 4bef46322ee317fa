"""What a source of samples is: what it tells of its samples before reading them, and a sample as it has it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

import numpy as np

from armature.data.settings import DataSettings
from armature.errors import DatasetError
from armature.files import Digest

Sort = Literal["picture", "caption", "condition"]


def printable(text: str) -> str:
    """The text with everything that is no valid Unicode (lone surrogates, bytes of a foreign file name) written out."""
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class Problem:
    """Why a sample is bad: which part of it, and a sentence for its owner."""

    sort: Sort
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", printable(self.reason))


class BadSampleError(DatasetError):
    """One sample that cannot be used. Training goes on without it; any other DatasetError stops."""

    def __init__(self, key: str, problem: Problem) -> None:
        super().__init__(f"Sample {key!r}: {problem.reason}")
        self.key = key
        self.problem = problem


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample as its source has it.

    key: names it in reports; unique within its source. picture: (h, w, 3) uint8, upright (EXIF applied).
    caption: never empty. condition: its map, (h, w) or (h, w, 3) uint8, in the picture's frame; None if it has to be
    extracted.
    mirrored: the map of the mirrored picture, where the source knows it better than by mirroring the map: a pose's left
    and right have colours of their own. notes: what was done to picture and map on reading them, in sentences.
    """

    key: str
    picture: np.ndarray
    caption: str
    condition: np.ndarray | None
    mirrored: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fingerprint:
    """What content is told apart by.

    pictures: changes when a picture, its caption or its crop would. whole: also when a condition map would.
    """

    pictures: str
    whole: str


@dataclass(frozen=True)
class Split:
    """Numbers of the samples to train on and of those kept apart."""

    training: Sequence[int]
    held_out: Sequence[int]


class Source(ABC):
    """Samples by number. Reading the same number again gives the same sample, in any thread.

    A source of its own defines what is abstract here, and the rest where it knows better.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """How reports call it."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def key(self, index: int) -> str:
        """The key of a sample, without reading it."""

    @abstractmethod
    def read(self, index: int, *, mapped: bool = True) -> Sample:
        """Read it, without its map unless `mapped`. Raises BadSampleError, which names the sample, for one that cannot
        be used.
        """

    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """Changes when what `read` gives would change; cheap next to reading everything."""

    @property
    def has_maps(self) -> bool:
        """Whether samples bring their condition maps, so that nothing is extracted."""
        return False

    @property
    def bucket_step(self) -> int | None:
        """data.bucket_step where the recipe leaves it open: 0 for pictures that are all square."""
        return None

    def sizes(self) -> Mapping[int, tuple[int, int]] | None:
        """(width, height) of every picture by number, where they are known and good without a look at each."""
        return None

    def problem(self, index: int) -> Problem | None:
        """What makes a sample unusable, as far as can be told without opening its picture; else None."""
        return None

    def size(self, index: int) -> tuple[int, int] | None:
        """(width, height) of its upright picture, without decoding it; None when that cannot be read."""
        return (self.sizes() or {}).get(index)

    def foreign_map(self, index: int) -> np.ndarray | None:
        """The map of a sample, (h, w[, 3]) uint8, where it is not known how its maps were drawn; else None.

        Raises BadSampleError when it cannot be read.
        """
        return None

    def split(self, usable: Sequence[int], held_out: int, seed: int) -> Split:
        """Keep exactly `held_out` of the usable samples apart, chosen by a hash of their keys and the seed.

        Another sample that comes in changes the choice by at most one: whoever it pushes out.
        Raises DatasetError when nothing would be left to train on.
        """
        if held_out >= len(usable):
            raise DatasetError(
                f"data.held_out = {held_out} of {len(usable)} usable samples of {self.name} leaves none to train on; "
                "take fewer, or add samples."
            )
        order = sorted(usable, key=lambda number: (Digest("held out", seed, self.key(number)).number, number))
        apart = sorted(order[:held_out])
        chosen = set(apart)
        return Split([number for number in usable if number not in chosen], apart)


@dataclass(frozen=True)
class SourceFormat:
    """A kind of source; the file in `formats` that is named after it holds one as FORMAT.

    fits: how sure it is, 0..1, that `data.source` is of this format. open: the source of a recipe's data, for a kind of
    control; raises DatasetError when there is none, and RecipeError for settings that contradict each other.
    exact_kinds: of control, whose maps the source draws itself. endless: whether as many samples as one likes can be
    held out, none of them ever trained on. embedded_style: whether its pictures are like those of the embedded base, so
    that the embedded annotator reads them.
    """

    fits: Callable[[str], float]
    open: Callable[[DataSettings, str], Source]
    exact_kinds: tuple[str, ...] = ()
    endless: bool = False
    embedded_style: bool = False


def library(name: str, what: str) -> ModuleType:
    """Import a library of the `train` extra. Raises DatasetError, with the way to get it, when it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise DatasetError(
            f"{what} needs the library {error.name!r}, which is not installed; run: "
            "pip install 'armature-diffusion[train]'"
        ) from error
