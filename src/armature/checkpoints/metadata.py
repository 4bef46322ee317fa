"""The text that travels in the header of every safetensors file that Armature writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from armature.adapters.base import AdapterCard, Family
from armature.adapters.spec import AdapterSpec
from armature.conditions.contract import InputContract
from armature.errors import ArmatureError, CheckpointError

FORMAT = "1"
_PREFIX = "armature."


@dataclass(frozen=True)
class Header:
    """What a file's header states; everything may be missing.

    rest: entries of other tools, and Armature's own about extractor and training, JSON-ready.
    """

    kind: str | None = None
    family: Family | None = None
    spec: AdapterSpec | None = None
    contract: InputContract | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)


def write_header(spec: AdapterSpec, card: AdapterCard) -> dict[str, str]:
    """The header of an adapter's file: kind, base family, structure, input contract, and the card's metadata.

    The keys are armature.format, .kind, .family, .spec, .contract, and .metadata; the values are JSON. "format" is what
    Hugging Face's readers look for.
    """
    entries: dict[str, Any] = {
        "format": FORMAT,
        "kind": card.kind,
        "family": card.family,
        "spec": spec.to_dict(),
        "contract": None if card.contract is None else asdict(card.contract),
        "metadata": dict(card.metadata),
    }
    try:
        return {
            "format": "pt",
            **{_PREFIX + name: json.dumps(value, sort_keys=True) for name, value in entries.items()},
        }
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"The adapter's metadata cannot be written ({error}); expected text, numbers, lists and mappings of them."
        ) from error


def read_header(entries: Mapping[str, str], where: str) -> Header:
    """The header written by write_header, or what another tool left there (all of it under `rest`).

    Raises CheckpointError when Armature's entries are damaged or come from a newer format.
    """
    foreign = {name: text for name, text in entries.items() if not name.startswith(_PREFIX) and name != "format"}
    if _PREFIX + "format" not in entries:
        return Header(rest=foreign)
    try:
        own: dict[str, Any] = {
            name.removeprefix(_PREFIX): json.loads(text) for name, text in entries.items() if name.startswith(_PREFIX)
        }
        if str(own["format"]) != FORMAT:
            raise CheckpointError(f"format {own['format']} is unknown, this version reads {FORMAT}; update Armature")
        contract = own.get("contract")
        return Header(
            kind=_text(own.get("kind")),
            family=_family(own.get("family")),
            spec=None if own.get("spec") is None else AdapterSpec.from_dict(own["spec"]),
            contract=None if contract is None else InputContract(**{**contract, "range": tuple(contract["range"])}),
            rest={**foreign, **dict(own.get("metadata") or {})},
        )
    except (ValueError, TypeError, KeyError, AttributeError, ArmatureError) as error:
        raise CheckpointError(f"{where} has damaged Armature metadata: {error}. Use an intact file.") from error


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _family(value: Any) -> Family | None:
    if value not in (None, "sd", "sdxl"):
        raise ValueError(f"family is {value!r}, expected 'sd' or 'sdxl'")
    return cast("Family | None", value)
