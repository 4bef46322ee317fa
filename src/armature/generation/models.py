"""What a generation runs on, a base and adapters: opened when it is first needed, and kept for the next one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from typing import Any

import torch

from armature.adapters.base import Adapter
from armature.bases.card import BaseCard, card_of
from armature.bases.open import Base, open_base
from armature.checkpoints.load import load_adapter
from armature.conditions.kinds import canonical_kind
from armature.devices import DeviceSpec
from armature.errors import RecipeError


class Models:
    """A base and its adapters by kind; give it to `generate` as `base`, again and again.

    The arguments are those of `generate`. Nothing is opened before it is needed, so that what is wrong with a prompt or
    a picture is told first; what is open stays so. Threads may share one.
    """

    def __init__(
        self,
        base: Any = None,
        *,
        adapters: Mapping[str, Any] | None = None,
        vae: str | Path | None = None,
        config: str | Path | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
    ) -> None:
        opened = None if base is None or isinstance(base, (str, Path)) else open_base(base)
        if opened is not None and (device is not None or dtype is not None):
            raise RecipeError(
                "The base is open already; move it yourself (pipeline.to), and leave device and dtype out."
            )
        self.source = base
        self.config = config
        self.card: BaseCard = opened.card if opened else card_of(base)
        self.place = opened.place if opened else DeviceSpec.choose(device, dtype, embedded=self.card.embedded)
        self.sources = {canonical_kind(kind): source for kind, source in (adapters or {}).items()}
        self._vae = vae
        self._given = opened
        self._base: Base | None = None
        self._adapters: dict[str, Adapter] = {}
        self._lock = RLock()

    @property
    def embedded(self) -> bool:
        """Whether the base is the shipped one, whose adapters stand in for kinds that have none of their own here."""
        return self.card.embedded

    @property
    def opened(self) -> bool:
        """Whether the base is open, so that nothing can be told about it faster than by asking it."""
        return self._base is not None or self._given is not None

    def base(self) -> Base:
        """The base, opened now if it is not open yet; raises CheckpointError as `open_base` does."""
        with self._lock:
            if self._base is None:
                source = self._given or self.source
                self._base = open_base(source, vae=self._vae, config=self.config, place=self.place)
            return self._base

    def adapter(self, kind: str) -> Adapter:
        """The adapter of a kind, loaded now if it is not yet; raises CheckpointError as `load_adapter` does."""
        with self._lock:
            if kind not in self._adapters:
                self._adapters[kind] = self._load(kind, self.sources.get(kind, f"embedded:{kind}"))
            return self._adapters[kind]

    def _load(self, kind: str, source: Any) -> Adapter:
        if isinstance(source, Adapter):
            return source
        if not isinstance(source, (str, Path)):
            raise RecipeError(
                f"The {kind} adapter is a {type(source).__name__}; expected a path, a hub id or an Adapter."
            )
        return load_adapter(source, kind=kind, dtype=self.place.dtype, device=self.place.device)
