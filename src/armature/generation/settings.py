"""What one call of generate really did, complete: nothing in here is open, and all of it goes into the PNG."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from armature.errors import ConditionError
from armature.version import __version__

Mode = Literal["text", "image", "inpaint"]

RECORD_VERSION = 2


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
    weight, levels, start, end, guidance_half: as in `armature.Control`, levels always as one factor per feature map.
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
        """The settings that `to_record` wrote; raises ConditionError for anything else."""
        if not isinstance(record, dict) or record.get("kind") != "generation":
            raise ConditionError("This record holds no settings of a generated picture.")
        if record.get("version") != RECORD_VERSION:
            raise ConditionError(
                f"This record has version {record.get('version')!r}; this Armature reads version {RECORD_VERSION}. "
                "Use the version that wrote it, named under 'software'."
            )
        try:
            return _typed(cls, record)
        except (KeyError, TypeError, ValueError) as error:
            raise ConditionError(f"This record of a generated picture is damaged: {error}.") from error


def _typed(cls: type[Any], values: dict[str, Any]) -> Any:
    """A dataclass of this module from JSON values, every field present and of its type."""
    made = {}
    for field in fields(cls):
        value = values[field.name]
        kind = str(field.type)
        if kind == "PictureName":
            value = _typed(PictureName, value)
        elif kind.startswith("tuple[ControlSettings"):
            value = tuple(_typed(ControlSettings, one) for one in value)
        elif kind.startswith("tuple[float"):
            value = tuple(float(one) for one in value)
        elif kind == "float":
            value = float(value)
            if not math.isfinite(value):
                raise ValueError(f"{field.name} is {value}")
        elif kind == "Mode":
            if value not in ("text", "image", "inpaint"):
                raise ValueError(f"mode is {value!r}")
        elif type(value).__name__ != kind:
            raise TypeError(f"{field.name} is a {type(value).__name__}, not {kind}")
        made[field.name] = value
    return cls(**made)


def name_picture(source: Any) -> PictureName:
    """The name and hash of a picture, or of the first one of a list; None has neither."""
    if source is None:
        return PictureName()
    if isinstance(source, (list, tuple)):
        return name_picture(source[0]) if source else PictureName()
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return PictureName(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    import numpy as np

    from armature.conditions.picture.arrays import is_tensor, tensor_to_numpy

    pixels = np.asarray(tensor_to_numpy(source) if is_tensor(source) else source)
    return PictureName("(given)", hashlib.sha256(pixels.tobytes()).hexdigest())
