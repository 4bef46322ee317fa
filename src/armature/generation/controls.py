"""From what a user asks for to Controls: adapters found and loaded, pictures read, extracted and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armature.adapters.base import Adapter
from armature.checkpoints.load import load_adapter
from armature.conditions.control_map import PreparedControl, prepare_control
from armature.conditions.extract import extract
from armature.conditions.kinds import canonical_kind
from armature.conditions.picture.reading import read_pixels
from armature.conditions.registry import default_extractor
from armature.devices import DeviceSpec
from armature.errors import RecipeError
from armature.files import public_name
from armature.generation.settings import ControlSettings, name_picture
from armature.injection.control import Control, GuidanceHalf
from armature.injection.mask import read_masks


@dataclass(frozen=True)
class ControlRequest:
    """A control by its kind, for which `generate` finds the adapter.

    kind: "sketch", "depth"... or an alias. image: path, picture, array or tensor; with `extract` any picture, from
    which the map is taken first: True for the kind's usual extractor, or the name of one.
    The other fields are those of `armature.Control`.
    """

    kind: str
    image: Any
    weight: float = field(default=1.0, kw_only=True)
    levels: Sequence[float] | str | None = field(default=None, kw_only=True)
    start: float = field(default=0.0, kw_only=True)
    end: float = field(default=1.0, kw_only=True)
    mask: Any = field(default=None, kw_only=True)
    guidance_half: GuidanceHalf | None = field(default=None, kw_only=True)
    extract: bool | str = field(default=False, kw_only=True)


@dataclass(frozen=True, eq=False)
class ResolvedControl:
    """A control whose adapter is loaded and whose pictures can be used; `settings` says what goes into the record."""

    control: Control
    settings: ControlSettings

    def seen(self, size: tuple[int, int]) -> PreparedControl:
        """The control as its adapter sees it in a picture of (width, height) pixels."""
        return prepare_control(self.control.image, self.control.adapter.contract, size=size)


def resolve_controls(
    given: Any, adapters: Mapping[str, Any] | None, *, embedded: bool, place: DeviceSpec
) -> tuple[ResolvedControl, ...]:
    """Load the adapters of all controls and check every picture, before the base model is opened.

    given: a Control, a ControlRequest, a (kind, image) or (kind, image, {options}) tuple, or a sequence of these.
    adapters: by kind, what `load_adapter` takes, or an adapter that is loaded. embedded: whether the base is the
    shipped one, whose adapters then stand in for kinds that `adapters` does not name.
    Raises RecipeError for a kind without an adapter and an adapter without a control, ConditionError for unusable
    pictures and unknown kinds, CheckpointError for unusable adapters, AttachError for wrong weights and windows.
    """
    sources = {canonical_kind(kind): source for kind, source in (adapters or {}).items()}
    requests = [_request(one) for one in _listed(given)]
    asked = [one.kind for one in requests if isinstance(one, ControlRequest)]
    if unused := [kind for kind in sources if kind not in asked]:
        raise RecipeError(
            f"An adapter is named for {', '.join(unused)}, and no control is of that kind; add the control, or leave "
            "the adapter out."
        )
    for kind in asked:
        if kind not in sources and not embedded:
            raise RecipeError(
                f"No adapter is named for the {kind} control; the embedded ones fit only the embedded base. Name one "
                f"that fits this base: --adapter {kind}=REF (a file, a folder or a hub id)."
            )
    # All pictures before the first adapter: reading them costs nothing, an adapter may be a download.
    pictures = [_picture(one, embedded) if isinstance(one, ControlRequest) else one.image for one in requests]
    loaded = {kind: _load(kind, sources.get(kind, f"embedded:{kind}"), place) for kind in dict.fromkeys(asked)}
    return tuple(
        _resolve(one, picture, loaded[one.kind], embedded)
        if isinstance(one, ControlRequest)
        else _resolved(one, "", one.image, one.name)
        for one, picture in zip(requests, pictures, strict=True)
    )


def _listed(given: Any) -> list[Any]:
    if isinstance(given, (Control, ControlRequest)) or (isinstance(given, tuple) and given[:1] and _is_kind(given[0])):
        return [given]
    return list(given)


def _is_kind(value: Any) -> bool:
    return isinstance(value, str)


def _request(one: Any) -> Control | ControlRequest:
    if isinstance(one, Control):
        return one
    if isinstance(one, tuple) and len(one) in (2, 3) and _is_kind(one[0]):
        try:
            one = ControlRequest(one[0], one[1], **(one[2] if len(one) == 3 else {}))
        except TypeError as error:
            raise RecipeError(f"A control has unknown options ({error}); see ControlRequest.") from error
    if not isinstance(one, ControlRequest):
        raise RecipeError(
            f"A control is a {type(one).__name__}; expected armature.Control, ControlRequest, or (kind, image)."
        )
    values = {name: getattr(one, name) for name in one.__dataclass_fields__ if name not in ("kind", "image")}
    return ControlRequest(canonical_kind(one.kind), one.image, **values)


def _load(kind: str, source: Any, place: DeviceSpec) -> Adapter:
    if isinstance(source, Adapter):
        return source
    if not isinstance(source, (str, Path)):
        raise RecipeError(f"The {kind} adapter is a {type(source).__name__}; expected a path, a hub id or an Adapter.")
    return load_adapter(source, kind=kind, dtype=place.dtype, device=place.device)


def _picture(one: ControlRequest, embedded: bool) -> Any:
    """The control's map: the given one, or what the extractor makes of the picture."""
    if name := extractor_name(one, embedded):
        return extract(name, one.image)
    if isinstance(one.image, (str, Path)):
        read_pixels(one.image)
    return one.image


def extractor_name(one: ControlRequest, embedded: bool) -> str:
    """The extractor that a request runs, or "": with the embedded base the one for its own world."""
    if isinstance(one.extract, str):
        return one.extract
    return default_extractor(one.kind, embedded=embedded) if one.extract else ""


def _resolve(one: ControlRequest, picture: Any, adapter: Adapter, embedded: bool) -> ResolvedControl:
    control = Control(
        adapter,
        picture,
        weight=one.weight,
        levels=one.levels,
        start=one.start,
        end=one.end,
        mask=one.mask,
        guidance_half=one.guidance_half,
    )
    return _resolved(control, extractor_name(one, embedded), one.image, one.kind)


def _resolved(control: Control, extractor: str, image: Any, kind: str) -> ResolvedControl:
    if len(control.pictures) > 1:
        raise RecipeError(
            f"The {kind} control has {len(control.pictures)} pictures and there is one prompt; give one picture, or "
            "use armature.attach with a pipeline of your own for batches."
        )
    prepare_control(control.image, control.adapter.contract)
    if control.mask is not None:
        read_masks(control.mask)
    levels: Any = control.levels
    settings = ControlSettings(
        kind=kind,
        adapter=public_name(control.adapter.card.source or "(given)"),
        image=name_picture(image),
        extractor=extractor,
        weight=control.weight,
        levels=tuple(levels),
        start=control.start,
        end=control.end,
        mask=name_picture(control.mask),
        guidance_half=str(control.guidance_half),
    )
    return ResolvedControl(control, settings)
