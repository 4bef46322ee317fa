"""From what a user asks for to Controls: adapters found and loaded, pictures read, extracted and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armature.adapters.base import Adapter
from armature.conditions.control_map import PreparedControl, prepare_control, read_control
from armature.conditions.extract import extract
from armature.conditions.kinds import canonical_kind, contract_for
from armature.conditions.registry import default_extractor
from armature.errors import RecipeError
from armature.files import public_name, text_name
from armature.generation.models import Models
from armature.generation.settings import ControlSettings, name_picture
from armature.injection.control import Control, ControlFit, GuidanceHalf
from armature.injection.mask import read_masks


@dataclass(frozen=True)
class ControlRequest:
    """A control by its kind, for which `generate` finds the adapter.

    kind: "sketch", "depth"... or an alias. image: path, picture, array or tensor, or the path of OpenPose JSON; with
    `extract` any picture, from which the map is taken first: True for the kind's usual extractor, or the name of one.
    The other fields are those of `armature.Control`.
    """

    kind: str
    image: Any
    weight: float = field(default=1.0, kw_only=True)
    levels: Sequence[float] | str | None = field(default=None, kw_only=True)
    start: float = field(default=0.0, kw_only=True)
    end: float = field(default=1.0, kw_only=True)
    mask: Any = field(default=None, kw_only=True)
    fit: ControlFit = field(default="stretch", kw_only=True)
    guidance_half: GuidanceHalf | None = field(default=None, kw_only=True)
    extract: bool | str = field(default=False, kw_only=True)


@dataclass(frozen=True, eq=False)
class ResolvedControl:
    """A control whose adapter is loaded and whose pictures can be used.

    settings: what goes into the record. size: (width, height) in pixels of its picture, or None where pictures have no
    place in what is drawn (styles).
    """

    control: Control
    settings: ControlSettings
    size: tuple[int, int] | None

    def seen(self, size: tuple[int, int]) -> PreparedControl:
        """The control as its adapter sees it in a picture of (width, height) pixels."""
        control = self.control
        return prepare_control(control.image, control.adapter.contract, size=size, fit=control.fitting)


def resolve_controls(given: Any, models: Models) -> tuple[ResolvedControl, ...]:
    """Load the adapters of all controls and check every picture, before the base model is opened.

    given: a Control, a ControlRequest, a (kind, image) or (kind, image, {options}) tuple, or a sequence of these.
    models: whose adapters serve the requests.
    Raises RecipeError for a kind without an adapter, ConditionError for unusable pictures and unknown kinds,
    CheckpointError for unusable adapters, AttachError for wrong weights and windows.
    """
    sources, embedded = models.sources, models.embedded
    requests = requests_of(given)
    asked = [one.kind for one in requests if isinstance(one, ControlRequest)]
    for kind in asked:
        if kind not in sources and not embedded:
            raise RecipeError(
                f"No adapter is named for the {kind} control; the embedded ones fit only the embedded base. Name one "
                f"that fits this base: --adapter {kind}=REF (a file, a folder or a hub id)."
            )
    # All pictures before the first adapter: reading them costs nothing, an adapter may be a download.
    pictures = [_picture(one, embedded) if isinstance(one, ControlRequest) else one.image for one in requests]
    return tuple(
        _resolve(one, picture, models.adapter(one.kind), embedded)
        if isinstance(one, ControlRequest)
        else _resolved(one, "", one.image, one.name)
        for one, picture in zip(requests, pictures, strict=True)
    )


def refuse_unused(given: Any, models: Models) -> None:
    """Raise RecipeError for an adapter that was named for these controls, and serves none of them."""
    asked = [one.kind for one in requests_of(given) if isinstance(one, ControlRequest)]
    if unused := [kind for kind in models.sources if kind not in asked]:
        raise RecipeError(
            f"An adapter is named for {', '.join(unused)}, and no control is of that kind; add the control, or leave "
            "the adapter out."
        )


def requests_of(given: Any) -> list[Control | ControlRequest]:
    """The controls that `generate` takes, one by one; (kind, image) tuples as requests, kinds by their own names."""
    return [_request(one) for one in _listed(given)]


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


def _picture(one: ControlRequest, embedded: bool) -> Any:
    """The control's map: the given one, or what the extractor makes of the picture."""
    if name := extractor_name(one, embedded):
        return extract(name, one.image)
    if isinstance(one.image, (str, Path)):
        read_control(one.image, contract_for(one.kind))
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
        fit=one.fit,
        guidance_half=one.guidance_half,
    )
    return _resolved(control, extractor_name(one, embedded), one.image, one.kind)


def _resolved(control: Control, extractor: str, image: Any, kind: str) -> ResolvedControl:
    if len(control.pictures) > 1:
        raise RecipeError(
            f"The {kind} control has {len(control.pictures)} pictures and there is one prompt; give one picture, or "
            "use armature.attach with a pipeline of your own for batches."
        )
    seen = prepare_control(control.image, control.adapter.contract).picture
    if control.mask is not None:
        read_masks(control.mask)
    levels: Any = control.levels
    settings = ControlSettings(
        kind=kind,
        adapter=text_name(public_name(control.adapter.card.source or "(given)")),
        image=name_picture(image),
        extractor=extractor,
        weight=control.weight,
        levels=tuple(levels),
        start=control.start,
        end=control.end,
        mask=name_picture(control.mask),
        fit=control.fit,
        guidance_half=str(control.guidance_half),
    )
    return ResolvedControl(control, settings, seen.size if control.adapter.spec.maps else None)
