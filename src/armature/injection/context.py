"""The text context of a U-Net: tokens of controls appended to it, for the rows that they are meant for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from armature.errors import AttachError

# Where diffusers' U-Nets take their text context when it is not given by name.
_POSITION, _NAME, _MASK_NAME = 2, "encoder_hidden_states", "encoder_attention_mask"


@dataclass(frozen=True)
class ContextAddition:
    """Tokens of one control.

    tokens: (rows or 1, count, width), appended to the context of every row.
    rows: (rows,) bool, the rows that get them; the others repeat the last tokens of their own context instead. None
        means all rows.
    """

    tokens: torch.Tensor
    rows: torch.Tensor | None = None


def context_width(unet: nn.Module) -> int | None:
    """The width of the text context that a U-Net attends to, or None when it has none, or several."""
    config: Any = getattr(unet, "config", None)
    width: Any = getattr(config, "cross_attention_dim", None)
    if isinstance(width, (list, tuple)):
        width = width[0] if len(set(width)) == 1 else None
    # A projection of its own in front (as Kandinsky has one) means that the context is no text.
    return width if isinstance(width, int) and getattr(config, "encoder_hid_dim_type", None) is None else None


def extended(context: torch.Tensor, additions: Sequence[ContextAddition]) -> torch.Tensor:
    """The context with the tokens of all additions behind it.

    context: (rows, length, width). Returns (rows, length + counts, width).
    Raises AttachError when the tokens do not fit the context.
    Source: the authors' sampler appends the style tokens to the prompt's context, and repeats the last tokens of the
    unconditional one so that both halves stay equally long.
    """
    parts = [context]
    for addition in additions:
        tokens = addition.tokens.to(device=context.device, dtype=context.dtype)
        if tokens.shape[0] not in (1, context.shape[0]) or tokens.shape[2] != context.shape[2]:
            raise AttachError(
                f"Tokens of shape {tuple(tokens.shape)} meet a text context of shape {tuple(context.shape)}; give one "
                "condition, or one per prompt, and an adapter made for this base's text encoder."
            )
        tokens = tokens.expand(context.shape[0], -1, -1)
        if addition.rows is not None:
            count, length = tokens.shape[1], context.shape[1]
            # Cyclic, for contexts that are shorter than the tokens.
            places = [(length - count + index) % length for index in range(count)]
            rows = addition.rows.to(context.device).view(-1, 1, 1)
            tokens = torch.where(rows, tokens, context[:, places])
        parts.append(tokens)
    return torch.cat(parts, dim=1)


def context_of(arguments: tuple[Any, ...], named: dict[str, Any]) -> torch.Tensor | None:
    """The text context of a U-Net call, or None when the call has none."""
    value = arguments[_POSITION] if len(arguments) > _POSITION else named.get(_NAME)
    return value if isinstance(value, torch.Tensor) else None


def with_context(
    arguments: tuple[Any, ...], named: dict[str, Any], additions: Sequence[ContextAddition]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a U-Net call with tokens appended to its context; AttachError when it has none."""
    context = context_of(arguments, named)
    if context is None:
        raise AttachError("This U-Net call has no text context, to which style tokens could be added.")
    longer = extended(context, additions)
    named = dict(named)
    if (mask := named.get(_MASK_NAME)) is not None:
        named[_MASK_NAME] = torch.cat([mask, mask.new_ones(mask.shape[0], longer.shape[1] - context.shape[1])], dim=1)
    if len(arguments) > _POSITION:
        return (*arguments[:_POSITION], longer, *arguments[_POSITION + 1 :]), named
    return arguments, {**named, _NAME: longer}
