"""Settings inside the PNG: versioned JSON for programs, and the text that A1111's users and tools read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature.conditions.picture.reading import open_picture, picture_values
from armature.errors import ArmatureError, ConditionError, RecipeError
from armature.files import replacing
from armature.foreign import read_json
from armature.generation.samplers import SAMPLERS
from armature.generation.settings import RECORD_VERSION, ControlSettings, Settings

if TYPE_CHECKING:
    from PIL import Image

JSON_KEY = "armature"
TEXT_KEY = "parameters"


def check_target(path: Path, *, folder: bool = False) -> None:
    """Raise RecipeError when a PNG cannot be written at `path`, or inside it: told before the work, not after."""
    if not folder and path.suffix.lower() != ".png":
        raise RecipeError(f"Pictures are written as PNG, which carries their settings; --out is {str(path)!r}.")
    if not folder and path.is_dir():
        raise RecipeError(f"{str(path)!r} is a folder; name a file in it.")
    try:
        nearest = path if folder else path.parent
        # Of the name itself as well: the file system refuses those that are too long when it is asked.
        path.exists()
        while not nearest.exists():
            nearest = nearest.parent
        usable = nearest.is_dir() and os.access(nearest, os.W_OK) and "\0" not in str(path)
    except OSError as error:
        raise RecipeError(f"Nothing can be written at {str(path)[:200]!r}: {error.strerror}.") from error
    if not usable:
        raise RecipeError(f"Nothing can be written at {str(path)!r}: {str(nearest)!r} is no writable folder.")


def write_pictures(images: Sequence[Image.Image], settings: Settings, paths: Sequence[Path]) -> None:
    """Write each picture with the settings that make it alone, replacing files of these names.

    Every file appears whole or not at all, and the first one only when all could be written. Missing folders are made.
    Raises ArmatureError when the disk refuses.
    """
    try:
        with ExitStack() as stack:
            for index, (image, path) in enumerate(zip(images, paths, strict=True)):
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = stack.enter_context(replacing(path))
                image.save(temporary, "PNG", pnginfo=_text_chunks(settings.single(index)))
    except OSError as error:
        raise ArmatureError(f"The pictures cannot be written: {error}. Make room, or choose another --out.") from error


def read_settings(path: str | Path) -> Settings:
    """The settings inside a PNG that `write_pictures` wrote.

    Raises ConditionError for a file that is no picture or carries none, and for settings of another version.
    """
    with open_picture(path) as image:
        picture_values(image, repr(str(path)))
        text = image.info.get(JSON_KEY)
    if not isinstance(text, str):
        raise ConditionError(
            f"{str(path)!r} carries no settings of Armature; give a PNG as armature generate writes it."
        )
    try:
        record = read_json(text)
    except ValueError as error:
        raise ConditionError(f"The settings in {str(path)!r} are damaged: {error}.") from error
    try:
        return Settings.from_record(record)
    except ConditionError as error:
        raise ConditionError(f"{str(path)!r}: {error}") from error


def parameters_text(settings: Settings) -> str:
    """The settings in A1111's form: prompt, negative prompt, then one line of named values."""
    sampler = SAMPLERS.get(settings.sampler)
    values: dict[str, Any] = {
        "Steps": settings.steps,
        "Sampler": sampler.title if sampler else settings.sampler,
        "CFG scale": f"{settings.guidance:g}",
        "Seed": settings.seed,
        "Size": f"{settings.width}x{settings.height}",
        "Model": _quoted(settings.base),
    }
    if settings.vae:
        values["VAE"] = _quoted(settings.vae)
    if settings.mode != "text":
        values["Denoising strength"] = f"{settings.strength:g}"
    for index, control in enumerate(settings.controls):
        values[f"T2I-Adapter {index}"] = _quoted(_control_text(control))
    values["Version"] = settings.to_record()["software"]
    lines = [settings.prompt]
    if settings.negative:
        lines.append(f"Negative prompt: {settings.negative}")
    return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in values.items())])


def _control_text(control: ControlSettings) -> str:
    levels = "/".join(f"{level:g}" for level in control.levels)
    return (
        f"kind: {control.kind}, model: {control.adapter}, image: {control.image.name}, weight: {control.weight:g}, "
        f"levels: {levels}, start: {control.start:g}, end: {control.end:g}, guidance half: {control.guidance_half}"
    )


def _quoted(text: str) -> str:
    """Values with commas or colons stand in quotes, as A1111's own reader expects."""
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',:"\n') else text


def _text_chunks(settings: Settings) -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(JSON_KEY, json.dumps(settings.to_record(), ensure_ascii=True, sort_keys=True))
    info.add_text(TEXT_KEY, parameters_text(settings))
    return info


def write_sheet(image: Image.Image, made: Sequence[Settings], path: Path) -> None:
    """Write a sheet of several generations with the settings of all; raises ArmatureError when the disk refuses."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(
        JSON_KEY, json.dumps({"version": RECORD_VERSION, "kind": "sheet", "of": [one.to_record() for one in made]})
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            image.save(temporary, "PNG", pnginfo=info)
    except OSError as error:
        raise ArmatureError(f"The sheet cannot be written: {error}. Make room, or choose another --out.") from error
