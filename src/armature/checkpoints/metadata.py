"""The text that travels in the header of every safetensors file that Armature writes, read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from armature.adapters.registry import spec_from_dict
from armature.adapters.save import HEADER_FORMAT, HEADER_PREFIX
from armature.adapters.spec import AdapterSpec
from armature.conditions.contract import InputContract
from armature.errors import ArmatureError, CheckpointError
from armature.foreign import read_json


@dataclass(frozen=True)
class Header:
    """What a file's header states; everything may be missing.

    rest: entries of other tools, and Armature's own about extractor and training, JSON-ready.
    """

    kind: str | None = None
    family: str | None = None
    spec: AdapterSpec | None = None
    contract: InputContract | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)


def read_header(entries: Mapping[str, str], where: str) -> Header:
    """The header that save_adapter writes, or what another tool left there (all of it under `rest`).

    Raises CheckpointError when Armature's entries are damaged or come from a newer format.
    """
    foreign = {name: text for name, text in entries.items() if not name.startswith(HEADER_PREFIX) and name != "format"}
    if HEADER_PREFIX + "format" not in entries:
        return Header(rest=foreign)
    try:
        own: dict[str, Any] = {
            # A training's own numbers may well be NaN.
            name.removeprefix(HEADER_PREFIX): read_json(text, finite=name != HEADER_PREFIX + "metadata")
            for name, text in entries.items()
            if name.startswith(HEADER_PREFIX)
        }
        if str(own["format"]) != HEADER_FORMAT:
            raise CheckpointError(
                f"format {own['format']} is unknown, this version reads {HEADER_FORMAT}; update Armature"
            )
        contract = own.get("contract")
        return Header(
            kind=_text(own.get("kind")),
            family=_family(own.get("family")),
            spec=None if own.get("spec") is None else spec_from_dict(own["spec"]),
            contract=None if contract is None else InputContract(**{**contract, "range": tuple(contract["range"])}),
            rest={**foreign, **dict(own.get("metadata") or {})},
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, ArmatureError) as error:
        raise CheckpointError(f"{where} has damaged Armature metadata: {error}. Use an intact file.") from error


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _family(value: Any) -> str | None:
    # Which families there are is known to a later room, and may be more tomorrow than today.
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"\w{1,40}", value)):
        raise ValueError(f"family is {value!r}, expected a word such as 'sd' or 'sdxl'")
    return value
