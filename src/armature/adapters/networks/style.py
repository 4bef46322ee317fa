"""The style adapter: what CLIP sees in a picture, as tokens behind the prompt's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from armature.adapters.base import Adapter, AdapterCard, BaseShape, PreparedCondition
from armature.adapters.features import Features
from armature.adapters.networks.attention import LAYERS, TransformerLayer, head_problems, layer_count
from armature.adapters.readers import A1111, COMFY, DIFFUSERS, INVOKE, Reader
from armature.adapters.region import Region
from armature.adapters.spec import AdapterSpec, Shapes, TokenShape, at_least_one
from armature.conditions.picture.fit import Fit
from armature.conditions.style import WEIGHTS, style_states
from armature.errors import CheckpointError, ConditionError

# The entry of an adapter's metadata that names the vision tower, where it is not the published one.
VISION_ENTRY = "vision_model"


@dataclass(frozen=True)
class StyleSpec(AdapterSpec):
    """The style adapter as published (38.6 M parameters), or one with other numbers.

    width: of the vision tower's hidden states, and of the layers. context: width of the text context that the tokens
    join. count: tokens. heads, layers: of the transformer.
    """

    network = "style"

    width: int = 1024
    context: int = 768
    count: int = 8
    heads: int = 8
    layers: int = 3

    @property
    def tokens(self) -> TokenShape:
        """As many as there are learned ones, as wide as the context."""
        return TokenShape(self.count, self.context)

    @property
    def picture_channels(self) -> int:
        """A picture in colour."""
        return 3

    def problems(self) -> list[str]:
        """Numbers below 1, and heads that do not divide the width."""
        problems = at_least_one(self, "width", "context", "count", "heads", "layers")
        return problems or head_problems(self.width, self.heads)

    def contradiction(self, shapes: Shapes) -> str | None:
        """More layers than there are tensors."""
        if self.layers > len(shapes):
            return f"holds {len(shapes)} tensors, but its config or metadata states {self.layers} layers; use its own."
        return None


class StyleAdapter(Adapter):
    """Learned tokens behind the picture's states, through a transformer; the learned ones, projected, come out.

    Source: the authors' `StyleAdapter`.
    """

    spec_type = StyleSpec
    takes = "picture states"
    family = "sd"
    kind = "style"
    stem = "style_embedding"
    expects = "(1, tokens, width) learned tokens"
    # The unconditional half repeats its own last tokens, so that the style is what guidance strengthens.
    default_half = "conditional"
    spec: StyleSpec  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, spec: StyleSpec, card: AdapterCard) -> None:
        super().__init__(spec, card)
        scale = spec.width**-0.5
        self.style_embedding = nn.Parameter(scale * torch.randn(1, spec.count, spec.width))
        self.proj = nn.Parameter(scale * torch.randn(spec.width, spec.context))
        self.ln_pre, self.ln_post = nn.LayerNorm(spec.width), nn.LayerNorm(spec.width)
        layers = [TransformerLayer(spec.width, spec.heads) for _ in range(spec.layers)]
        self.add_module(LAYERS, nn.Sequential(*layers))

    def features(self, x: torch.Tensor) -> Features:
        """(batch, tokens, width) -> tokens (batch, count, context)."""
        x = torch.cat([x, self.style_embedding.expand(x.shape[0], -1, -1)], dim=1)
        x = self.get_submodule(LAYERS)(self.ln_pre(x))
        return Features(tokens=self.ln_post(x[:, -self.spec.count :]) @ self.proj)

    def check(self, x: torch.Tensor) -> None:
        """Rank and width."""
        if x.ndim != 3 or x.shape[2] != self.spec.width:
            raise ConditionError(
                f"The picture states have shape {tuple(x.shape)}; this adapter takes (batch, tokens, "
                f"{self.spec.width}), the last hidden states of CLIP's vision tower."
            )

    def read(self, picture: Any) -> tuple[Any, tuple[str, ...]]:
        """A picture, whose states are computed here; or the states themselves, (tokens, width) or with a batch."""
        width = self.spec.width
        if isinstance(picture, torch.Tensor) and picture.ndim in (2, 3) and picture.shape[-1] == width:
            return picture.detach().reshape(-1, *picture.shape[-2:]), ()
        model = str(self.card.metadata.get(VISION_ENTRY, WEIGHTS.source))
        states = style_states(picture, model=model)
        if states.shape[-1] != width:
            raise ConditionError(
                f"The vision tower {model!r} gives states of width {states.shape[-1]}, and this adapter takes {width}; "
                f"give the states of its own tower as a tensor (tokens, {width})."
            )
        return states, ()

    def prepare(
        self,
        pictures: Sequence[Any],
        size: tuple[int, int],
        region: Region | None = None,
        fit: Fit = "stretch",
    ) -> PreparedCondition:
        """The states of all pictures, whatever is generated; a style is of the whole picture."""
        lengths = {states.shape[1] for states in pictures}
        if len(lengths) > 1:
            raise ConditionError(f"The picture states have different lengths {sorted(lengths)}; give all of one tower.")
        return PreparedCondition(torch.cat([states.float().cpu() for states in pictures]), None)

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """The learned tokens, whose name nothing else has."""
        return cls.stem in shapes

    @classmethod
    def candidates(cls, shapes: Shapes) -> list[AdapterSpec]:
        """All but the number of heads, which leaves no trace in the weights."""
        learned, projected, layers = shapes[cls.stem], shapes.get("proj", ()), layer_count(shapes)
        if len(learned) != 3 or len(projected) != 2 or not layers:
            return []
        try:
            return [StyleSpec(learned[2], projected[1], learned[1], StyleSpec.heads, layers)]
        except CheckpointError:
            return []

    @classmethod
    def assumptions(cls, spec: AdapterSpec) -> tuple[str, ...]:
        """The heads, for a width that was never published."""
        style = cast("StyleSpec", spec)
        if style.width == StyleSpec.width:
            return ()
        return (f"Its number of attention heads is not in the file; {style.heads} are assumed, as published.",)

    @classmethod
    def spec_for(
        cls, base: BaseShape, *, channels: int, options: Mapping[str, int], start: AdapterSpec | None = None
    ) -> AdapterSpec:
        """The published numbers with the base's context; CheckpointError for a base without one."""
        if base.context is None:
            raise CheckpointError("this base has no text context to which a style adapter could add tokens")
        like = cast("StyleSpec", start) if isinstance(start, StyleSpec) else StyleSpec()
        numbers = {name: options.get(name) or getattr(like, name) for name in ("width", "count", "heads", "layers")}
        return StyleSpec(context=base.context, **numbers)

    @classmethod
    def readers(cls, spec: AdapterSpec) -> tuple[Reader, ...]:
        """Two programs build the published one, and no other."""
        none = [Reader(program, (), "it has no style adapters") for program in (DIFFUSERS, INVOKE)]
        if spec == StyleSpec():
            return (*none, Reader(COMFY, ("original",)), Reader(A1111, ("original",)))
        told = "it builds the published style adapter only"
        return (*none, Reader(COMFY, (), told), Reader(A1111, (), told))
