"""diffusers' config.json of class T2IAdapter, to and from our spec."""

from __future__ import annotations

from typing import Any

from armature.adapters.spec import AdapterSpec, Network
from armature.checkpoints.foreign import recognise_class
from armature.errors import CheckpointError

DIFFUSERS_CLASS = "T2IAdapter"
# For the networks that diffusers cannot build: our own class name, the whole spec, and the authors' key names.
OWN_CLASS = "ArmatureAdapter"

_TYPES: dict[Network, str] = {"full": "full_adapter", "full_xl": "full_adapter_xl", "light": "light_adapter"}
_DEFAULTS: dict[str, Any] = {
    "in_channels": 3,
    "channels": [320, 640, 1280, 1280],
    "num_res_blocks": 2,
    "downscale_factor": 8,
    "adapter_type": "full_adapter",
}


def diffusers_obstacle(spec: AdapterSpec) -> str | None:
    """Why diffusers' T2IAdapter cannot be this network, or None when it can."""
    if spec.kernel != 1 or spec.skep or spec.conv_down:
        return "diffusers has no adapter with larger second kernels, skep shortcuts or convolutional downsampling"
    if spec.network == "light":
        if spec.divisor != 4:
            return f"diffusers' light adapter works at width/4, this one at width/{spec.divisor}"
        if spec.levels < 2 or spec.channels[-1] != spec.channels[-2]:
            return f"diffusers' light adapter repeats its last width, this one has {list(spec.channels)}"
    return None


def diffusers_config(spec: AdapterSpec) -> dict[str, Any]:
    """The config with which diffusers builds the same network.

    Raises CheckpointError when it has no such network.
    """
    if obstacle := diffusers_obstacle(spec):
        raise CheckpointError(f"This adapter has no diffusers form: {obstacle}. Convert it to the original layout.")
    channels = list(spec.channels)
    # diffusers adds one more level of the last width to its light type.
    return {
        "_class_name": DIFFUSERS_CLASS,
        "adapter_type": _TYPES[spec.network],
        "channels": channels[:-1] if spec.network == "light" else channels,
        "downscale_factor": spec.stride,
        "in_channels": spec.in_channels,
        "num_res_blocks": spec.blocks,
    }


def own_config(spec: AdapterSpec) -> dict[str, Any]:
    """The config of a network that only Armature can build."""
    return {"_class_name": OWN_CLASS, "spec": spec.to_dict()}


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
            return AdapterSpec.from_dict(config["spec"])
        return _from_diffusers({**_DEFAULTS, **config})
    except (KeyError, TypeError, ValueError, CheckpointError) as error:
        raise CheckpointError(f"{where}/config.json describes no adapter: {error}") from error


def _from_diffusers(config: dict[str, Any]) -> AdapterSpec:
    networks: dict[str, Network] = {name: network for network, name in _TYPES.items()}
    if (adapter_type := config["adapter_type"]) not in networks:
        raise ValueError(f"adapter_type is {adapter_type!r}, expected one of {sorted(networks)}")
    network = networks[adapter_type]
    channels = tuple(config["channels"])
    if network == "light":
        channels = (*channels, *channels[-1:])
    return AdapterSpec(
        network, int(config["in_channels"]), channels, int(config["num_res_blocks"]), int(config["downscale_factor"])
    )
