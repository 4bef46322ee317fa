"""The config.json of an adapter's folder, diffusers' or ours, read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armature.adapters.registry import NETWORKS, spec_from_dict
from armature.adapters.save import DIFFUSERS_CLASS, OWN_CLASS
from armature.adapters.spec import AdapterSpec
from armature.checkpoints.foreign import recognise_class
from armature.errors import CheckpointError

_DEFAULTS: dict[str, Any] = {
    "in_channels": 3,
    "channels": [320, 640, 1280, 1280],
    "num_res_blocks": 2,
    "downscale_factor": 8,
    "adapter_type": "full_adapter",
}


def spec_from_config(config: Any, where: str) -> AdapterSpec:
    """The spec that a folder's config states; left-out values are diffusers' defaults.

    where: the folder, for the message. Raises CheckpointError for another class and for values that make no network.
    """
    if not isinstance(config, dict):
        raise CheckpointError(f"{where}/config.json holds a {type(config).__name__}; expected a T2IAdapter's config.")
    class_name = config.get("_class_name", DIFFUSERS_CLASS)
    if class_name not in (DIFFUSERS_CLASS, OWN_CLASS):
        raise CheckpointError(f"{where} {recognise_class(str(class_name))}")
    try:
        if class_name == OWN_CLASS:
            return spec_from_dict(config["spec"])
        return _from_diffusers({**_DEFAULTS, **config})
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, CheckpointError) as error:
        raise CheckpointError(f"{where}/config.json describes no adapter: {error}") from error


def _from_diffusers(config: Mapping[str, Any]) -> AdapterSpec:
    for network in NETWORKS.values():
        if (spec := network.from_diffusers(config)) is not None:
            return spec
    types = sorted(one.diffusers_type for one in NETWORKS.values() if one.diffusers_type is not None)
    raise ValueError(f"adapter_type is {config['adapter_type']!r}, expected one of {types}")
