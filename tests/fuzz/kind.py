"""A kind of hostile input: how to write one, and what a user would do with it."""

from __future__ import annotations

import pkgutil
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from fuzz import kinds

# Where an input lies, where its use may write, and where nothing may be touched: in each case's own folder.
INPUT, OUT, SECRET, CANARY = "input", "out", "secret", "harmed"


@dataclass(frozen=True)
class Kind:
    """write: the input, as files in a folder, from random numbers alone. use: do with it what a user would.

    share: of all cases. use gets the case's folder: it reads INPUT, may write below OUT, and either returns or raises
    an ArmatureError. warm: called once before any case, for what is slow the first time.
    """

    share: float
    write: Callable[[random.Random, Path], None]
    use: Callable[[Path], None]
    warm: Callable[[], None] = lambda: None


@dataclass(frozen=True, order=True)
class Case:
    """One input: the same kind, seed and number give the same one."""

    kind: str
    seed: int
    number: int

    @property
    def rng(self) -> random.Random:
        """Its random numbers."""
        return random.Random(f"{self.kind} {self.seed} {self.number}")

    def __str__(self) -> str:
        return f"{self.kind}-{self.seed}-{self.number}"


@cache
def all_kinds() -> dict[str, Kind]:
    """Every kind by its name, which is that of its file."""
    names = [module.name for module in pkgutil.iter_modules(kinds.__path__)]
    return {name: import_module(f"{kinds.__name__}.{name}").KIND for name in names}


def write_case(case: Case, folder: Path) -> None:
    """Make a case's folder: its input, an empty place to write to, and files that none of its own names may reach."""
    for name in (INPUT, OUT, SECRET):
        (folder / name).mkdir(parents=True)
    (folder / SECRET / "secret.txt").write_text("not yours")
    all_kinds()[case.kind].write(case.rng, folder / INPUT)
