"""The CoAdapter fuser: it looks at the features of all adapters at work and weighs every channel and token of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.features import Features
from armature.adapters.networks.attention import LAYERS, TransformerLayer, head_problems, layer_count
from armature.adapters.networks.shapes import widths_at
from armature.adapters.readers import PROGRAMS, Reader
from armature.adapters.spec import AdapterSpec, Shapes, at_least_one
from armature.errors import AttachError, CheckpointError

# The row of the task embedding that every kind has in the published file; eight more rows are unused.
TASKS = {"sketch": 0, "keypose": 1, "seg": 2, "depth": 3, "canny": 4, "style": 5, "color": 6, "openpose": 7}

KindFeatures = Sequence[tuple[str, Features]]


@dataclass(frozen=True)
class FuserSpec(AdapterSpec):
    """The fuser as published (27.3 M parameters), or one with other numbers.

    channels: of the feature maps that it takes, finest first. width: of its layers, and of the tokens that it takes.
    heads, layers: of the transformer. tasks: rows of the task embedding.
    """

    network = "fuser"

    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    width: int = 768
    heads: int = 8
    layers: int = 3
    tasks: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(int(width) for width in self.channels))
        super().__post_init__()

    def problems(self) -> list[str]:
        """Numbers below 1, and heads that do not divide the width."""
        problems = at_least_one(self, "width", "heads", "layers", "tasks")
        if not self.channels or min(self.channels) < 1:
            problems.append(f"channels are {list(self.channels)}, expected one positive width per feature map")
        return problems or head_problems(self.width, self.heads)

    def contradiction(self, shapes: Shapes) -> str | None:
        """More layers than there are tensors."""
        if self.layers + len(self.channels) > len(shapes):
            return f"holds {len(shapes)} tensors, but its config or metadata states {self.layers} layers; use its own."
        return None


class FuserAdapter(Adapter):
    """Every map is pooled to a vector, tokens stay; all attend to each other; each gets a gain, which starts at 1.

    Source: the authors' `CoAdapterFuser`.
    """

    spec_type = FuserSpec
    takes = "features"
    family = "sd"
    stem = "task_embedding"
    expects = "(tasks, width) task embeddings"
    spec: FuserSpec  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, spec: FuserSpec, card: AdapterCard) -> None:
        super().__init__(spec, card)
        scale = spec.width**0.5
        self.task_embedding = nn.Parameter(scale * torch.randn(spec.tasks, spec.width))
        self.positional_embedding = nn.Parameter(scale * torch.randn(len(spec.channels), spec.width))
        self.spatial_feat_mapping = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Linear(channels, spec.width)) for channels in spec.channels
        )
        layers = [TransformerLayer(spec.width, spec.heads) for _ in range(spec.layers)]
        self.add_module(LAYERS, nn.Sequential(*layers))
        self.ln_pre, self.ln_post = nn.LayerNorm(spec.width), nn.LayerNorm(spec.width)
        self.spatial_ch_projs = nn.ModuleList(nn.Linear(spec.width, channels) for channels in spec.channels)
        self.seq_proj = nn.Parameter(torch.zeros(spec.width, spec.width))
        for projection in self.spatial_ch_projs.parameters():
            nn.init.zeros_(projection)

    def features(self, x: KindFeatures) -> Features:
        """Features of several kinds -> their weighed sum: maps added, tokens side by side, in the order given."""
        fused = self.weighed(x)
        maps = [features.maps for _, features in fused if features.maps]
        tokens = [features.tokens for _, features in fused if features.tokens is not None]
        total = tuple(torch.stack(level).sum(dim=0) for level in zip(*maps, strict=True)) if maps else ()
        return Features(total, torch.cat(tokens, dim=1) if tokens else None)

    def weighed(self, x: KindFeatures) -> list[tuple[str, Features]]:
        """The features of every kind with the fuser's gains, in the order given, which changes no gain.

        x: (kind, features), all of one batch; any subset of the kinds in TASKS, a kind may stand there twice.
        """
        sequence = torch.cat([self._vectors(kind, features) for kind, features in x], dim=1)
        seen = self.ln_post(self.get_submodule(LAYERS)(self.ln_pre(sequence)))
        fused, start = [], 0
        for kind, features in x:
            count = len(features.maps)
            gains = [
                1 + projection(seen[:, start + level])
                for level, projection in zip(range(count), self.spatial_ch_projs, strict=False)
            ]
            maps = tuple(one * gain[..., None, None] for one, gain in zip(features.maps, gains, strict=True))
            start += count
            tokens = features.tokens
            if tokens is not None:
                tokens = tokens * (1 + seen[:, start : start + tokens.shape[1]] @ self.seq_proj)
                start += tokens.shape[1]
            fused.append((kind, Features(maps, tokens)))
        return fused

    def _vectors(self, kind: str, features: Features) -> torch.Tensor:
        """(batch, maps + tokens, width): one vector a map, with its level's embedding, then the tokens."""
        pooled = [
            mapping(feature.mean(dim=(2, 3))) + place
            for mapping, feature, place in zip(
                self.spatial_feat_mapping, features.maps, self.positional_embedding, strict=False
            )
        ]
        vectors = [torch.stack(pooled, dim=1)] if pooled else []
        if features.tokens is not None:
            vectors.append(features.tokens)
        return torch.cat(vectors, dim=1) + self.task_embedding[TASKS[kind]]

    def check(self, x: KindFeatures) -> None:
        """Known kinds, one batch, and the widths that the fuser was made for."""
        if not x:
            raise AttachError("The fuser got no features; give those of one adapter at least.")
        for kind, features in x:
            self.check_kind(kind)
            widths = tuple(feature.shape[1] for feature in features.maps)
            if widths and widths != self.spec.channels:
                raise AttachError(
                    f"The {kind} features have the widths {list(widths)}, and the fuser takes "
                    f"{list(self.spec.channels)}."
                )
            if features.tokens is not None and features.tokens.shape[2] != self.spec.width:
                raise AttachError(
                    f"The {kind} tokens have the width {features.tokens.shape[2]}, and the fuser takes "
                    f"{self.spec.width}."
                )
        if len(batches := {features.batch for _, features in x}) > 1:
            raise AttachError(f"The fuser got features of the batches {sorted(batches)}; give all of one.")

    def check_kind(self, kind: str) -> None:
        """Raise AttachError for a kind that the fuser never saw."""
        if TASKS.get(kind, self.spec.tasks) >= self.spec.tasks:
            raise AttachError(
                f"The fuser does not know the kind {kind!r}; it joins {', '.join(TASKS)}. Leave that control or the "
                "fuser out."
            )

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """The task embedding, whose name nothing else has."""
        return cls.stem in shapes

    @classmethod
    def candidates(cls, shapes: Shapes) -> list[AdapterSpec]:
        """All but the number of heads, which leaves no trace in the weights."""
        embedding, layers = shapes[cls.stem], layer_count(shapes)
        channels = widths_at(shapes, r"spatial_ch_projs\.(\d+)\.(?:weight|bias)")
        if len(embedding) != 2 or not layers or not channels:
            return []
        try:
            return [FuserSpec(channels, embedding[1], FuserSpec.heads, layers, embedding[0])]
        except CheckpointError:
            return []

    @classmethod
    def assumptions(cls, spec: AdapterSpec) -> tuple[str, ...]:
        """The heads, for a width that was never published."""
        if isinstance(spec, FuserSpec) and spec.width != FuserSpec.width:
            return (f"Its number of attention heads is not in the file; {spec.heads} are assumed, as published.",)
        return ()

    @classmethod
    def readers(cls, spec: AdapterSpec) -> tuple[Reader, ...]:
        """Nobody offers it."""
        return tuple(Reader(program, (), "it has no fuser of adapters") for program in PROGRAMS)
