"""The forward hooks that add features at the sites, and the plain way to use them: given features, no pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from armature.adapters.features import Features
from armature.bases.unet import plain_module
from armature.errors import AttachError
from armature.injection.context import ContextAddition, context_width, with_context
from armature.injection.sites import Site, find_sites


@dataclass(frozen=True)
class Addition:
    """What one site adds to its output.

    value: (batch or 1, channels, height, width) when split is None; else (*dims, channels, height, width), where each
    of dims is the same as in split or 1.
    split: how the output's batch is divided, (guidance copies, controls, images per control, frames), or None.
    Values of size 1 are broadcast, never copied.
    """

    value: torch.Tensor
    split: tuple[int, ...] | None = None


def register_site_hooks(sites: tuple[Site, ...], read: Callable[[int], Addition | None]) -> list[RemovableHandle]:
    """Put a hook on every site, or on none when that fails.

    read: gives what site i adds at this moment, or None; called at every forward pass of the site.
    """
    handles: list[RemovableHandle] = []
    try:
        for index, site in enumerate(sites):
            handles.append(site.module.register_forward_hook(_site_hook(index, site, read)))
    except BaseException:
        remove_hooks(handles)
        raise
    return handles


def forget_compiled(unet: nn.Module) -> None:
    """Have a compiled U-Net compiled anew at its next call: graphs made before do not see new hooks.

    Does nothing for a U-Net without compiled parts. torch offers no way to forget the graphs of one model alone.
    """
    if is_compiled(unet):
        torch.compiler.reset()


def is_compiled(module: nn.Module) -> bool:
    """Whether a module, or a part of it, was given to torch.compile."""
    return any(part._compiled_call_impl is not None or "_orig_mod" in part._modules for part in module.modules())


def remove_hooks(handles: list[RemovableHandle]) -> None:
    """Take the hooks away again and forget their handles."""
    while handles:
        handles.pop().remove()


def _site_hook(index: int, site: Site, read: Callable[[int], Addition | None]) -> Callable[..., Any]:
    def add_features(module: nn.Module, arguments: Any, output: Any) -> Any:
        addition = read(index)
        if addition is None:
            return None
        # Transformer blocks answer with a tuple, residual blocks and downsamplers with the tensor itself.
        if isinstance(output, tuple):
            return (_added(output[0], addition, site), *output[1:])
        return _added(output, addition, site)

    return add_features


def _added(output: torch.Tensor, addition: Addition, site: Site) -> torch.Tensor:
    value, split = addition.value, addition.split
    if value.shape[-3:] != output.shape[-3:] or (split is None and value.shape[0] not in (1, output.shape[0])):
        raise AttachError(
            f"A feature of shape {tuple(value.shape)} meets the output {tuple(output.shape)} of {site.name}; "
            "give a control of the size and batch of this call."
        )
    # Out of place: the cached value must stay as it is, and autograd must be able to follow the sum.
    value = value.to(device=output.device, dtype=output.dtype)
    if split is None:
        return output + value
    return (output.unflatten(0, split) + value).flatten(0, len(split) - 1)


class Injection:
    """Given features, added to a U-Net while the `with` block runs; gradients flow to them.

    Made by `injected`. `set` changes the features between two calls without touching the hooks: enter the block once
    around a loop, above all with a compiled U-Net, which is compiled anew after each entry. The block must enclose
    backward() too when the U-Net checkpoints its gradients.
    """

    def __init__(
        self, unet: nn.Module, features: Features | None = None, conditional: Sequence[bool] = (True,)
    ) -> None:
        self._unet = plain_module(unet)
        self._outer = unet
        self.site_map = find_sites(unet)
        self._context_width = context_width(self._unet)
        self._additions: tuple[Addition | None, ...] = ()
        self._context: tuple[ContextAddition, ...] = ()
        self._handles: list[RemovableHandle] = []
        self.set(features, conditional)

    def set(self, features: Features | None, conditional: Sequence[bool] = (True,)) -> None:
        """Add these features from now on, or nothing.

        features: maps, one per site, or tokens for the text context, or both; each of batch 1 or the batch of one
        guidance copy; in the U-Net's precision or another.
        conditional: for every guidance copy in the U-Net's batch, in order, whether it sees the prompt. Maps are added
        to all of them; tokens go to those that do, and the others repeat the last tokens of their context.
        Raises AttachError when their number or widths do not fit.
        """
        empty: tuple[Addition | None, ...] = (None,) * len(self.site_map.all)
        self._additions, self._context = empty, ()
        if features is None:
            return
        widths = tuple(feature.shape[1] for feature in features.maps)
        count = len(widths)
        if count and (count not in self.site_map.counts or widths != self.site_map.widths[:count]):
            raise AttachError(
                f"Features with maps of widths {list(widths)} do not fit {self.site_map.title}; "
                "give one map per site, of the site's width."
            )
        copies, batch = len(conditional), features.batch
        if (tokens := features.tokens) is not None:
            if tokens.shape[2] != self._context_width:
                raise AttachError(
                    f"Tokens of width {tokens.shape[2]} do not fit {self.site_map.title}, whose text context has the "
                    f"width {self._context_width}; use an adapter made for this text encoder."
                )
            rows = None if all(conditional) else torch.tensor(conditional).repeat_interleave(batch)
            self._context = (ContextAddition(tokens.repeat(copies, 1, 1), rows),)
        # A map of batch 1 is broadcast over all rows; others lie once in every copy.
        divided = None if batch == 1 or copies == 1 else (copies, batch)
        maps = [Addition(value if divided is None else value[None], divided) for value in features.maps]
        self._additions = (*maps, *empty[count:])

    def __enter__(self) -> Injection:
        if self._handles:
            raise AttachError("This injection is already active; leave its `with` block first, or make another one.")
        forget_compiled(self._outer)
        self._handles = register_site_hooks(self.site_map.all, lambda index: self._additions[index])
        self._handles.append(self._unet.register_forward_pre_hook(self._extend, with_kwargs=True))
        return self

    def _extend(self, unet: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return with_context(arguments, named, self._context) if self._context else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        remove_hooks(self._handles)


def injected(unet: nn.Module, features: Features | None = None, conditional: Sequence[bool] = (True,)) -> Injection:
    """Add features to a U-Net inside a `with` block, as they are: for training, and wherever no pipeline runs.

    unet: see find_sites. features, conditional: see Injection.set; gradients flow through the U-Net to the features.
    Returns the context manager; nothing is touched before it is entered, and nothing is left after it.
    Raises AttachError when the features do not fit.
    Source: paper equation 5, F_enc[i] <- F_enc[i] + F[i].
    """
    return Injection(unet, features, conditional)
