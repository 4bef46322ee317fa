"""Adapters out of diffusers' own objects: T2IAdapter and MultiAdapter, as pipelines have them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.networks.bundle import BundleAdapter
from armature.adapters.registry import build_adapter, network_of
from armature.checkpoints.config import spec_from_config
from armature.checkpoints.detect import Evidence, detect
from armature.checkpoints.naming import kind_of
from armature.conditions.kinds import canonical_kind, contract_for
from armature.errors import CheckpointError


def adapter_from_object(
    module: nn.Module, *, kind: str | None = None, dtype: torch.dtype | None = None, device: Any = None
) -> Adapter:
    """The same network with the same weights as a T2IAdapter, or a bundle of those of a MultiAdapter.

    module: stays as it is; its weights are shared where precision and device stay. kind: left out, what the name that
    the object was loaded from speaks of; for a MultiAdapter it is left out. Raises CheckpointError for other objects.
    """
    name = type(module).__name__
    if name == "MultiAdapter":
        if kind is not None:
            raise CheckpointError("A MultiAdapter holds adapters of several kinds; leave kind out.")
        members: Any = module.adapters
        return BundleAdapter([adapter_from_object(one, dtype=dtype, device=device) for one in members])
    if name != "T2IAdapter":
        raise CheckpointError(f"A {name} is no adapter; expected a path, a hub id, or diffusers' T2IAdapter.")
    given: Any = module.config
    config: dict[str, Any] = dict(given)
    source = str(config.get("_name_or_path") or "") or None
    spec = spec_from_config({**config, "_class_name": name}, f"This {name}")
    state = module.state_dict()
    detection = detect({key: tuple(t.shape) for key, t in state.items()}, f"This {name}", Evidence(spec))
    chosen = canonical_kind(kind) if kind is not None else kind_of(source or "")
    family = network_of(spec).family
    contract = contract_for(chosen, in_channels=spec.picture_channels, family=family, source=source)
    with torch.device("meta"):
        adapter = build_adapter(spec, AdapterCard(chosen, family, contract, source))
    wanted = dtype or next(module.parameters()).dtype
    tensors = {detection.names[key]: tensor.to(device, wanted) for key, tensor in state.items()}
    adapter.load_state_dict(tensors, assign=True)
    return adapter.requires_grad_(False).eval()
