"""From what a recipe says about its data to a source of samples."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from armature.data.settings import AUTO, DataSettings
from armature.data.sources import formats
from armature.data.sources.source import Source, SourceFormat
from armature.errors import DatasetError, RecipeError
from armature.files import local_path


def open_source(settings: DataSettings, kind: str) -> Source:
    """The source of samples that `data.source` names, its format found out where the recipe leaves it open.

    kind: of control, for the maps that some sources draw themselves.
    Raises DatasetError when there is no such data or it is of another format; RecipeError for settings that
    contradict each other.
    """
    if settings.conditions is not None and (settings.extractor is not None or settings.extract):
        raise RecipeError(
            "data.conditions gives ready maps, and data.extractor or data.extract makes them from the pictures; "
            "keep one of the two."
        )
    return format_of(settings).open(settings, kind)


def format_of(settings: DataSettings) -> SourceFormat:
    """The format of a recipe's data. Raises DatasetError when nothing is at data.source."""
    return all_formats()[find_format(settings.source) if settings.format == AUTO else settings.format]


def exact_kinds(settings: DataSettings) -> tuple[str, ...]:
    """The kinds of control whose maps the data's source draws itself; none for data that is not there."""
    try:
        return format_of(settings).exact_kinds
    except DatasetError:
        return ()


def find_format(source: str) -> str:
    """The name of the format of what is at a path, pattern or hub id. Raises DatasetError when nothing is there."""
    certainty = {name: format_.fits(source) for name, format_ in all_formats().items()}
    best = max(certainty, key=lambda name: certainty[name])
    if certainty[best] > 0:
        return best
    if local_path(source, DatasetError).is_file():
        raise DatasetError(
            f"data.source = {source!r} is one file; expected a folder, .tar shards, a metadata.jsonl or a hub id."
        )
    raise DatasetError(
        f"data.source: nothing at {source!r}; expected a folder, .tar shards, a hub id (owner/name) or 'toyworld'."
    )


@cache
def all_formats() -> dict[str, SourceFormat]:
    """Every format by its name, which is that of its file in the folder `formats`."""
    names = [module.name for module in pkgutil.iter_modules(formats.__path__)]
    return {name: import_module(f"{formats.__name__}.{name}").FORMAT for name in names}
