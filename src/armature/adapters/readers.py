"""Which other programs read an adapter's files, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Layout = Literal["original", "diffusers"]
LAYOUTS: tuple[Layout, ...] = ("diffusers", "original")

DIFFUSERS, INVOKE, COMFY, A1111 = "diffusers", "InvokeAI", "ComfyUI", "the A1111 extension"
PROGRAMS = (DIFFUSERS, INVOKE, COMFY, A1111)


@dataclass(frozen=True)
class Reader:
    """What one program makes of an adapter.

    layouts: the layouts in which it reads it; empty when it does not read it at all.
    obstacle: why it does not, or reads one layout only, as the second half of a sentence; "" when it reads both.
    """

    program: str
    layouts: tuple[Layout, ...]
    obstacle: str = ""


def reader_notes(readers: Iterable[Reader], layout: Layout | None = None) -> tuple[str, ...]:
    """Sentences on the programs that do not read an adapter, those with one obstacle together.

    layout: of the file in hand; left out, a program that reads either layout is not mentioned, since both are written.
    """
    told: dict[str, list[str]] = {}
    for reader in readers:
        if not reader.layouts or (layout is not None and layout not in reader.layouts):
            told.setdefault(reader.obstacle, []).append(reader.program)
    return tuple(f"Not read by {_joined(programs)}: {obstacle}." for obstacle, programs in told.items())


def reader_table(readers: Iterable[Reader], layout: Layout) -> dict[str, str]:
    """For every program "yes", or why it does not read a file of this layout."""
    return {reader.program: "yes" if layout in reader.layouts else f"no: {reader.obstacle}" for reader in readers}


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
