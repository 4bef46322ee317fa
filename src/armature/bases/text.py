"""Captions -> what the base's text encoders say of them, as its own diffusers pipeline computes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from armature.bases.families import Family

Note = Callable[[str], None]

_log = logging.getLogger("armature")


@dataclass(frozen=True, eq=False)
class TextStates:
    """What the text encoders say of n captions: states (n, tokens, width); pooled (n, width) for SDXL, else None."""

    states: Tensor
    pooled: Tensor | None


class TextEncoders:
    """The tokenizers and text encoders of a pipeline.

    pipeline: any diffusers pipeline of the family. note: is told, once, about captions that are too long to be read
    whole; `truncated` counts them, each caption once.
    """

    def __init__(self, pipeline: Any, family: Family, note: Note | None = None) -> None:
        names = family.text.encoders
        self.pairs = [(getattr(pipeline, f"tokenizer{n}"), getattr(pipeline, f"text_encoder{n}").eval()) for n in names]
        self._pipeline, self._rule = pipeline, family.text
        self._note = note or _log.warning
        self._long: set[int] = set()

    @property
    def truncated(self) -> int:
        """How many different captions were longer than the encoders read."""
        return len(self._long)

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the states."""
        return self.pairs[-1][1].dtype

    @torch.no_grad()
    def texts(self, captions: Sequence[str]) -> TextStates:
        """The states of n captions, padded or cut to the tokenizer's length, on the encoders' device.

        SD 1.x and 2.x: the last hidden state. SDXL: the penultimate hidden states of both encoders side by side, and
        the second one's pooled projection. Equal to `encode_prompt` of the pipeline.
        """
        parts, pooled = [], None
        for tokenizer, encoder in self.pairs:
            ids, mask = self._tokens(tokenizer, captions)
            wanted: dict[str, Any] = {} if self._rule.layer is None else {"output_hidden_states": True}
            if self._rule.layer is None and getattr(encoder.config, "use_attention_mask", False):
                wanted["attention_mask"] = mask.to(encoder.device)
            said = encoder(ids.to(encoder.device), **wanted)
            parts.append(said[0] if self._rule.layer is None else said.hidden_states[self._rule.layer])
            pooled = said[0] if self._rule.pooled else None
        states = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        return TextStates(states.to(self.dtype), pooled)

    def empty(self) -> TextStates:
        """The states that stand for no caption, n = 1: those of "", and zeros for SDXL, which was trained so.

        They are what the pipeline itself uses as the unconditional half when no negative prompt is given.
        """
        states = self.texts([""])
        if states.pooled is None or not getattr(self._pipeline.config, "force_zeros_for_empty_prompt", False):
            return states
        return TextStates(torch.zeros_like(states.states), torch.zeros_like(states.pooled))

    def _tokens(self, tokenizer: Any, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        # Textual inversions of several vectors are spelled out by the pipeline.
        convert = getattr(self._pipeline, "maybe_convert_prompt", None)
        texts = list(captions) if convert is None else convert(list(captions), tokenizer)
        length = tokenizer.model_max_length
        for caption, ids in zip(captions, tokenizer(texts, verbose=False).input_ids, strict=True):
            if len(ids) > length:
                self._too_long(caption, len(ids), length)
        out = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return out.input_ids, out.attention_mask

    def _too_long(self, caption: str, tokens: int, length: int) -> None:
        if not self._long:
            start = caption if len(caption) <= 60 else f"{caption[:57]}..."
            self._note(
                f"The caption {start!r} has {tokens} tokens and the text encoder reads {length}: its end is not seen. "
                "Other captions may be too long as well; they are counted. Shorter captions avoid this."
            )
        self._long.add(hash(caption))
