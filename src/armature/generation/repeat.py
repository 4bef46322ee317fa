"""The settings inside a picture as arguments of `generate`, to make it again or something near it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armature.bases.card import EMBEDDED
from armature.conditions.kinds import canonical_kind
from armature.devices import DeviceSpec
from armature.errors import RecipeError
from armature.generation.controls import ControlRequest, requests_of
from armature.generation.record import read_settings
from armature.generation.samplers import SAMPLERS
from armature.generation.settings import ControlSettings, PictureName
from armature.injection.control import Control


def settings_of(picture: str | Path, **instead: Any) -> dict[str, Any]:
    """The arguments with which `generate` makes a picture of Armature's again.

    picture: a PNG that Armature wrote. Files that it was made from are recorded by name: they are looked for beside it
    and in the current folder, and must be what they were.
    instead: arguments of `generate` that take the place of the recorded ones, and then need not be found. Of `controls`
    and `adapters`, each takes the place of those of its kind; the others stay.
    The device is chosen anew; the precision is the recorded one where the device is of the recorded sort.
    Raises ConditionError for a picture without settings, RecipeError that names all that is missing.

    Example: `armature.generate(**armature.settings_of("house.png", seed=8)).images[0]`.
    """
    settings = read_settings(picture)
    search = _Search(str(picture), (Path(picture).parent, Path()))
    given = requests_of(instead.pop("controls", ()))
    adapters = {canonical_kind(kind): source for kind, source in (instead.pop("adapters", None) or {}).items()}
    asked = {one.kind for one in given if isinstance(one, ControlRequest)}
    loaded = {one.name for one in given if isinstance(one, Control)}
    kept = [one for one in settings.controls if one.kind not in asked | loaded]
    arguments: dict[str, Any] = {
        "prompt": settings.prompt,
        "negative_prompt": settings.negative,
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance,
        # A name of diffusers' is that of the base's own sampler, which nobody asked for.
        "sampler": settings.sampler if settings.sampler in SAMPLERS else None,
        "seed": settings.seed,
    }
    if "width" not in instead and "height" not in instead:
        arguments["size"] = (settings.width, settings.height)
    if "generator" in instead:
        del arguments["seed"]
    if settings.mode != "text":
        arguments["strength"] = settings.strength
    if "device" not in instead and DeviceSpec.choose().device.type == settings.device:
        arguments["dtype"] = settings.dtype
    for name, source in (("base", settings.base), ("vae", settings.vae), ("config", settings.config)):
        # Another base comes with a VAE and a configuration of its own.
        if source and name not in instead and "base" not in instead:
            arguments[name] = search.model(source, f"--{'base-config' if name == 'config' else name} REF")
    for name, option, file in (("image", "init", settings.init), ("mask_image", "inpaint", settings.inpaint)):
        if file.name and name not in instead:
            arguments[name] = search.file(file, f"--{option} PICTURE")
    requests = [search.control(one) for one in kept]
    used = asked | {one.kind for one in kept}
    recorded = {one.kind: one.adapter for one in settings.controls if one.kind in used - set(adapters)}
    sources = {kind: search.model(source, f"--adapter {kind}=REF") for kind, source in recorded.items()}
    search.check()
    arguments |= {"controls": [*requests, *given], "adapters": sources | adapters}
    return arguments | instead


@dataclass
class _Search:
    """Looks for recorded files. picture: whose settings they are. missing: what was not found, in words."""

    picture: str
    folders: Sequence[Path]
    missing: list[str] = field(default_factory=list)

    def control(self, control: ControlSettings) -> ControlRequest:
        """The request that a control was made of."""
        option = f"--control {control.kind}=PICTURE"
        return ControlRequest(
            control.kind,
            self.file(control.image, option),
            weight=control.weight,
            levels=control.levels,
            start=control.start,
            end=control.end,
            mask=self.file(control.mask, f"{option},mask=PICTURE") if control.mask.name else None,
            fit=control.fit,  # type: ignore[arg-type]
            guidance_half=control.guidance_half,  # type: ignore[arg-type]
            extract=control.extractor or False,
        )

    def file(self, file: PictureName, option: str) -> Path | None:
        """Where a recorded picture lies, unchanged; None, and remembered as missing, when it is not there."""
        # Only a name: a record is foreign text, and must not lead out of the folders.
        name = Path(file.name).name
        changed = False
        for folder in self.folders if name == file.name else ():
            path = folder / name
            if path.is_file():
                if hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256:
                    return path
                changed = True
        why = "is not the picture that it was" if changed else "is not there"
        self.missing.append(f"{file.name} {why} ({option})")
        return None

    def model(self, source: str, option: str) -> str | None:
        """A recorded model as `open_base` and `load_adapter` take it; local ones are recorded by their last name."""
        if source == EMBEDDED or source.startswith(f"{EMBEDDED}:") or "/" in source:
            return source
        for folder in self.folders:
            if source == Path(source).name and (folder / source).exists():
                return str(folder / source)
        self.missing.append(f"{source} is not there ({option})")
        return None

    def check(self) -> None:
        """Raise RecipeError that names all that is missing."""
        if self.missing:
            places = " and ".join(dict.fromkeys(str(folder) for folder in self.folders))
            raise RecipeError(
                f"The settings of {self.picture!r} need files that were looked for in {places}: "
                f"{'; '.join(self.missing)}. Put them there, or give others with these options."
            )
