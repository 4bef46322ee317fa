"""The measure that goes with the settings of data: pictures are read as the maps were made."""

from __future__ import annotations

from armature.data.settings import DataSettings, OptionValue
from armature.data.sources.open import format_of
from armature.evaluation.fidelity import Measure, fidelity_of


def measure_for(kind: str, data: DataSettings, *, palette: str | None, embedded: bool) -> Measure:
    """The measure of a kind that reads generated pictures with the extractor, and options, of the data.

    Maps that were not extracted (ready ones, toyworld's exact ones), and pictures of the embedded base, are read as
    `usual_extractor` says, unless the settings name another; a base that learns toyworld counts as embedded.
    palette, embedded and errors: as in fidelity_of.
    """
    extractor, embedded = data.extractor, embedded or format_of(data).embedded_style
    if extractor is None and data.conditions is None and not embedded:
        extractor = kind
    options = {} if extractor is None else settled(data)
    return fidelity_of(kind, extractor=extractor, options=options, palette=palette, embedded=embedded)


def settled(data: DataSettings) -> dict[str, OptionValue]:
    """The extractor's options without chance: of a range, its middle."""
    return {name: _middle(value) for name, value in data.extract.items()}


def _middle(value: OptionValue) -> OptionValue:
    if not isinstance(value, tuple):
        return value
    middle = (value[0] + value[1]) / 2
    return round(middle) if isinstance(value[0], int) and isinstance(value[1], int) else middle
