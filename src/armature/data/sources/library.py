"""Libraries that only some sources need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from armature.errors import DatasetError


def library(name: str, what: str) -> ModuleType:
    """Import a library of the `train` extra. Raises DatasetError, with the way to get it, when it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise DatasetError(
            f"{what} needs the library {error.name!r}, which is not installed; run: pip install 'armature[train]'"
        ) from error
