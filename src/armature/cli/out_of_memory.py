"""Telling those who train what helps when memory does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

HELP = (
    "out of memory; halve train.batch and double train.accumulate, which trains the same, set "
    "train.checkpoint_gradients=true, or lower data.resolution."
)


@contextmanager
def smaller_training() -> Iterator[None]:
    """Exit with code 1 and advice when the machine or the GPU runs out of memory."""
    try:
        yield
    except Exception as error:
        # By name: torch's own class is known only once torch is imported.
        if type(error).__name__ not in ("OutOfMemoryError", "MemoryError"):
            raise
        typer.echo(f"armature: {HELP}", err=True)
        raise typer.Exit(1) from error
