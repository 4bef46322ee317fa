"""What one call of generate really did, complete: nothing in here is open, and all of it goes into the PNG."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from armature.errors import ConditionError
from armature.files import text_name
from armature.version import __version__

Mode = Literal["text", "image", "inpaint"]

RECORD_VERSION = 3
# JSON readers in browsers hold whole numbers exactly up to here; the last of a row of seeds must fit as well.
LARGEST_SEED = 2**53 - 1_000_000
# Ranges of a record's numbers, far wider than any use: outside, it was damaged, or made to break its readers.
_RANGES = {
    "steps": (1, 100_000),
    "count": (1, 100_000),
    "seed": (0, LARGEST_SEED),
    "width": (8, 1_000_000),
    "height": (8, 1_000_000),
    "guidance": (0.0, 1e6),
    "strength": (0.0, 1.0),
    "weight": (-1e6, 1e6),
    "start": (0.0, 1.0),
    "end": (0.0, 1.0),
}
_MOST_CONTROLS = 100


@dataclass(frozen=True)
class PictureName:
    """A picture that went in: the file's name without its folders ("" for none, "(given)" for one from memory), and
    the SHA-256 of the file's bytes, or of the pixels' bytes.
    """

    name: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class ControlSettings:
    """One control, as it acted.

    kind, adapter: kind of the control, and where its adapter came from.
    image, mask: the pictures; extractor: what turned the image into the map, or "".
    weight, levels, start, end, fit, guidance_half: as in `armature.Control`, levels always as one factor per
    feature map.
    """

    kind: str
    adapter: str
    image: PictureName
    extractor: str
    weight: float
    levels: tuple[float, ...]
    start: float
    end: float
    mask: PictureName
    fit: str
    guidance_half: str


@dataclass(frozen=True)
class Settings:
    """Everything that decides how the pictures of one call look.

    mode: "text", "image" (from `init`) or "inpaint". base, vae, config: as the user named them ("" for the base's own
    VAE and configuration), of local files the name only. seed: of the first picture; picture k has seed + k.
    width, height: pixels.
    strength: 1.0 in mode "text". dtype, device: where and how precisely it ran; noise is always drawn on the CPU.
    """

    prompt: str
    negative: str
    mode: Mode
    base: str
    vae: str
    config: str
    family: str
    sampler: str
    steps: int
    guidance: float
    seed: int
    count: int
    width: int
    height: int
    strength: float
    init: PictureName
    inpaint: PictureName
    controls: tuple[ControlSettings, ...]
    dtype: str
    device: str

    def single(self, index: int) -> Settings:
        """The settings that make picture `index` (from 0) alone."""
        return replace(self, seed=self.seed + index, count=1)

    def to_record(self) -> dict[str, Any]:
        """JSON-ready values with the version of their form and the program that wrote them."""
        return {"version": RECORD_VERSION, "kind": "generation", "software": f"armature {__version__}", **asdict(self)}

    @classmethod
    def from_record(cls, record: Any) -> Settings:
        """The settings that `to_record` wrote; raises ConditionError for anything else, absurd numbers included."""
        if not isinstance(record, dict) or record.get("kind") != "generation":
            raise ConditionError("This record holds no settings of a generated picture.")
        if record.get("version") != RECORD_VERSION:
            raise ConditionError(
                f"This record has version {_said(record.get('version'))}; this Armature reads version "
                f"{RECORD_VERSION}. Use the version that wrote it, named under 'software'."
            )
        try:
            return _typed(cls, record)
        except KeyError as error:
            raise ConditionError(f"This record of a generated picture is damaged: it has no {error}.") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise ConditionError(f"This record of a generated picture is damaged: {error}.") from error


def _typed(cls: type[Any], values: dict[str, Any]) -> Any:
    """A dataclass of this module from JSON values, every field present, of its type and within reason."""
    if not isinstance(values, dict):
        raise TypeError(f"it has a {type(values).__name__} in place of {cls.__name__}")
    made = {}
    for field in fields(cls):
        value = values[field.name]
        kind = str(field.type)
        if kind == "PictureName":
            value = _typed(PictureName, value)
        elif kind.startswith("tuple[ControlSettings"):
            value = tuple(_typed(ControlSettings, one) for one in _short(field.name, value))
        elif kind.startswith("tuple[float"):
            value = tuple(_number(field.name, one) for one in _short(field.name, value))
        elif kind == "float":
            value = _number(field.name, value)
        elif kind == "Mode":
            if value not in ("text", "image", "inpaint"):
                raise ValueError(f"mode is {value!r}")
        elif type(value).__name__ != kind:
            raise TypeError(f"{field.name} is a {type(value).__name__}, not {kind}")
        if isinstance(value, str) and not value.isascii():
            value.encode()  # half a character, as JSON can write it, could neither be drawn from nor written again
        low, high = _RANGES.get(field.name, (None, None))
        if low is not None and not low <= value <= high:
            raise ValueError(f"{field.name} is {_said(value)}, expected {low} to {high}")
        made[field.name] = value
    return cls(**made)


def _said(value: Any) -> str:
    """A foreign value as messages show it: short, and with no number that is too long for a text."""
    return (
        f"a number of {value.bit_length()} bits" if isinstance(value, int) and abs(value) > 1e30 else repr(value)[:40]
    )


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a {type(value).__name__}, not a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}")
    return float(value)


def _short(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{name} is a {type(value).__name__}, not a list")
    if len(value) > _MOST_CONTROLS:
        raise ValueError(f"{name} has {len(value)} entries, expected at most {_MOST_CONTROLS}")
    return value


def name_picture(source: Any) -> PictureName:
    """The name and hash of a picture, or of the first one of a list; None has neither."""
    if source is None:
        return PictureName()
    if isinstance(source, (list, tuple)):
        return name_picture(source[0]) if source else PictureName()
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return PictureName(text_name(path.name), hashlib.sha256(path.read_bytes()).hexdigest())
    import numpy as np

    from armature.conditions.picture.arrays import is_tensor, tensor_to_numpy

    pixels = np.asarray(tensor_to_numpy(source) if is_tensor(source) else source)
    return PictureName("(given)", hashlib.sha256(pixels.tobytes()).hexdigest())
