"""Attaching controls to a pipeline, and taking them off without a trace."""

from __future__ import annotations

import threading
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import nn

from armature.adapters.base import Adapter
from armature.bases.unet import plain_module
from armature.errors import AttachError
from armature.injection.bound import bind
from armature.injection.call import BoundControls, CallFacts, CallState
from armature.injection.caller import calls, check_tiling, find_caller
from armature.injection.context import context_of, context_width, with_context
from armature.injection.control import Control, number
from armature.injection.fuse import check_fuser
from armature.injection.gate import CallGate
from armature.injection.hooks import forget_compiled, is_compiled, register_site_hooks, remove_hooks
from armature.injection.report import AttachmentReport
from armature.injection.sites import SiteMap, find_sites

# Which attachments act on a U-Net now.
_ATTACHED: MutableMapping[nn.Module, WeakSet[Attachment]] = WeakKeyDictionary()


def attach(
    pipeline_or_unet: Any,
    controls: Control | Sequence[Control],
    *,
    fuser: Adapter | None = None,
    own_thread: bool = False,
) -> Attachment:
    """Let controls act on a pipeline, or on a bare U-Net, until detached.

    pipeline_or_unet: any diffusers pipeline with a U-Net of Stable Diffusion's shape (see find_sites), untouched but
    for hooks; or the U-Net itself, where controls act on every call and `start` and `end` must be left out.
    controls: one or several; what they add is summed. Features are computed once per call of the pipeline (for a bare
    U-Net once until size or controls change), for the latent's size.

    fuser: a CoAdapter fuser, from load_adapter, that weighs the features of all controls at work by each other before
        they are summed; the kinds of the controls must be those that it knows, any of them.
    own_thread: act on calls from this thread alone. A server whose threads generate on one U-Net, each with a pipeline
        of its own around it (schedulers cannot be shared), attaches so; `armature.generate` does. Otherwise calls of
        every thread are controlled, and a second thread that would do the same to the same U-Net is refused: its
        control would act in the first one's pictures.

    Use it as a context manager, or call `detach`. Several attachments on one pipeline add up, and may be detached in
    any order. Several pipelines may share the U-Net: steps and guidance are those of the one that calls; inpainting
    with padding_mask_crop and panoramas get the parts of the features that belong to what they work on.
    A U-Net call that has begun ends with the controls it began with; attaching, updating and detaching from another
    thread take effect between calls, and detaching waits for those under way. Compiled U-Nets are compiled anew after
    attaching, since a compiled graph does not see new hooks.

    Raises AttachError when a control does not fit the U-Net or the pipeline works in a way that is not known here
    (windows that cannot be told), ConditionError when a picture cannot be used; then nothing
    is attached. What only a call can show (batch, steps, another U-Net in the pipeline) raises there, as AttachError.

    Example:
        with armature.attach(pipe, armature.Control(sketch, "drawing.png")):
            image = pipe("a car with flying wings").images[0]
    """
    return Attachment(pipeline_or_unet, controls, fuser=fuser, own_thread=own_thread)


class Attachment:
    """Controls at work on one U-Net; made by `attach`, ended by `detach` or by leaving its `with` block."""

    def __init__(
        self,
        pipeline_or_unet: Any,
        controls: Control | Sequence[Control],
        *,
        fuser: Adapter | None = None,
        own_thread: bool = False,
    ) -> None:
        self._pipeline, outer = _target(pipeline_or_unet)
        check_tiling(self._pipeline)
        self._unet = plain_module(outer)
        self._site_map = find_sites(self._unet)
        self._context_width = context_width(self._unet)
        self._fuser = fuser
        self._bound = self._bind(controls)
        self._gate = CallGate(self._unet)
        self._thread = threading.current_thread()
        self._own_thread = own_thread
        self._state = CallState(self._site_map, check_fuser(fuser, (), self._site_map))
        # What the last call of any thread showed.
        self._facts = CallFacts()
        self._refuse_strangers()
        forget_compiled(outer)
        self._handles = register_site_hooks(self._site_map.all, self._state.read)
        try:
            # Before the first site runs, and after the last, on a compiled U-Net too: these two stay out of its graph.
            before, after = _outside_graphs(self._before), _outside_graphs(self._after)
            self._handles.append(self._unet.register_forward_pre_hook(before, with_kwargs=True))
            self._handles.append(self._unet.register_forward_hook(after, always_call=True))
            # Without its U-Net the pipeline would go on uncontrolled; its other parts see the call all the same.
            for part in _witnesses(self._pipeline):
                self._handles.append(part.register_forward_pre_hook(_outside_graphs(self._look_for_unet)))
        except BaseException:
            remove_hooks(self._handles)
            raise
        _ATTACHED.setdefault(self._unet, WeakSet()).add(self)

    @property
    def controls(self) -> tuple[Control, ...]:
        """The controls in force."""
        return tuple(bound.control for bound in self._bound)

    @property
    def sites(self) -> SiteMap:
        """Where the features enter."""
        return self._site_map

    @property
    def attached(self) -> bool:
        """Whether the controls still act."""
        return not self._gate.closed

    def update(
        self,
        controls: Control | Sequence[Control] | None = None,
        *,
        weight: float | Sequence[float] | Mapping[str, float] | None = None,
    ) -> None:
        """Put other controls, or other weights, in force, from the next U-Net call on.

        controls: instead of those in force; left out, these stay.
        weight: one number for all controls, one for each in order, or some by their names (`Control.name`), which only
            then have to differ. Pictures are not read again, and features not computed again in a running call.
        Raises what `attach` raises, and AttachError after detach; then the old controls stay.

        Example:
            attachment.update(weight={"sketch": 0.5})
        """
        if not self.attached:
            raise AttachError("This attachment was detached; call armature.attach again.")
        bound = self._bound if controls is None else self._bind(controls)
        if weight is not None:
            weights = _weights(weight, [one.control.name for one in bound])
            bound = tuple(
                one if value is None else replace(one, control=replace(one.control, weight=value))
                for one, value in zip(bound, weights, strict=True)
            )
        self._bound = bound

    def detach(self) -> None:
        """Take every hook off again; once done, doing it again is harmless."""
        if self._gate.close():
            remove_hooks(self._handles)
            _ATTACHED.get(self._unet, WeakSet()).discard(self)
            self._state.clear()

    def report(self) -> AttachmentReport:
        """What the controls did in the last call: active steps, sizes, precisions, and everything worth a note."""
        title = type(self._unet if self._pipeline is None else self._pipeline).__name__
        how = "" if self._fuser is None else ", joined by a fuser"
        return self._facts.report(f"{title}, {self._site_map.title}{how}", self._site_map, self._bound)

    def __enter__(self) -> Attachment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()

    def _bind(self, controls: Control | Sequence[Control]) -> BoundControls:
        listed = [controls] if isinstance(controls, Control) else list(controls)
        for control in listed:
            if not isinstance(control, Control):
                raise AttachError(f"Controls hold a {type(control).__name__}; expected armature.Control objects.")
        check_fuser(self._fuser, listed, self._site_map)
        return tuple(bind(control, self._site_map, self._context_width) for control in listed)

    def _before(self, unet: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        self._state.clear()
        if (self._own_thread and threading.current_thread() is not self._thread) or not self._gate.enter():
            return None
        sample = arguments[0] if arguments else named["sample"]
        timestep = arguments[1] if len(arguments) > 1 else named.get("timestep")
        context = context_of(arguments, named)
        rows = 0 if context is None else context.shape[0]
        caller = find_caller(self._unet, self._pipeline)
        self._state.begin(self._bound, caller, sample, timestep, rows)
        self._facts = self._state.facts
        return with_context(arguments, named, self._state.context) if self._state.context else None

    def _look_for_unet(self, part: nn.Module, arguments: Any) -> None:
        unet = getattr(self._pipeline, "unet", None)
        if (not isinstance(unet, nn.Module) or plain_module(unet) is not self._unet) and calls(self._pipeline):
            raise AttachError(
                f"The U-Net of this {type(self._pipeline).__name__} is another one than the controls were attached to; "
                "detach them, and attach again."
            )

    def _refuse_strangers(self) -> None:
        """Another thread's controls on this U-Net would act in our calls, and ours in theirs."""
        for other in _ATTACHED.get(self._unet, ()):
            theirs = other._thread
            if self._own_thread or other._own_thread or not other.attached:
                continue
            if theirs is not self._thread and theirs.is_alive():
                raise AttachError(
                    f"Thread {theirs.name!r} has controls attached to this U-Net, which act on calls of every thread: "
                    "they and these would meet in both threads' pictures. Attach with own_thread=True in both, or "
                    "detach the others first."
                )

    def _after(self, unet: nn.Module, arguments: Any, output: Any) -> None:
        self._gate.leave()


def _target(pipeline_or_unet: Any) -> tuple[Any, nn.Module]:
    """The pipeline, or None, and its U-Net."""
    if isinstance(pipeline_or_unet, nn.Module):
        return None, pipeline_or_unet
    unet = getattr(pipeline_or_unet, "unet", None)
    if isinstance(unet, nn.Module):
        return pipeline_or_unet, unet
    parts = getattr(pipeline_or_unet, "components", None)
    having = f" with the components {sorted(parts)}" if isinstance(parts, dict) else ""
    raise AttachError(
        f"{type(pipeline_or_unet).__name__}{having} has no U-Net; attach to a Stable Diffusion pipeline or its U-Net."
    )


def _witnesses(pipeline: Any) -> list[nn.Module]:
    """Modules of a pipeline beside its U-Net that its calls run: text encoders, and the halves of the autoencoder."""
    parts = getattr(pipeline, "components", None)
    named = parts if isinstance(parts, dict) else {}
    vae = named.get("vae")
    modules = [named.get("text_encoder"), named.get("text_encoder_2")]
    modules += [getattr(vae, "encoder", None), getattr(vae, "decoder", None)]
    # A compiled part would have to be compiled anew for a hook that does nothing.
    return [part for part in modules if isinstance(part, nn.Module) and not is_compiled(part)]


def _outside_graphs(hook: Any) -> Any:
    """The hook, kept out of what torch.compile traces."""
    return torch.compiler.disable(hook)


def _weights(given: Any, names: Sequence[str]) -> list[float | None]:
    """The new weight of every control, None for those that keep theirs."""
    if isinstance(given, Mapping):
        if unknown := sorted(set(given) - set(names)):
            raise AttachError(f"No control is called {', '.join(map(repr, unknown))}; there are {', '.join(names)}.")
        if twice := sorted({name for name in given if names.count(name) > 1}):
            raise AttachError(f"Several controls are called {', '.join(twice)}; give one weight for each in order.")
        return [number("weight", given[name]) if name in given else None for name in names]
    if isinstance(given, Sequence) and not isinstance(given, str):
        if len(given) != len(names):
            raise AttachError(f"{len(given)} weights were given for {len(names)} controls; give one for each, or one.")
        return [number("weight", value) for value in given]
    return [number("weight", given)] * len(names)
