"""The networks that Armature knows, by name; a new one is its file and its entry here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.networks.full import FullAdapter
from armature.adapters.networks.full_xl import FullXLAdapter
from armature.adapters.networks.fuser import FuserAdapter
from armature.adapters.networks.light import LightAdapter
from armature.adapters.networks.style import StyleAdapter
from armature.adapters.spec import AdapterSpec
from armature.errors import CheckpointError

NETWORKS: dict[str, type[Adapter]] = {
    network.spec_type.network: network
    for network in (FullAdapter, FullXLAdapter, LightAdapter, StyleAdapter, FuserAdapter)
}


def find_network(name: str) -> type[Adapter]:
    """The network of a name; raises CheckpointError for an unknown one."""
    if name not in NETWORKS:
        raise CheckpointError(f"network is {name!r}, expected one of {list(NETWORKS)}.")
    return NETWORKS[name]


def network_of(spec: AdapterSpec) -> type[Adapter]:
    """The network that a spec describes."""
    return NETWORKS[spec.network]


def build_adapter(spec: AdapterSpec, card: AdapterCard | None = None) -> Adapter:
    """Build the network that a spec describes, with torch's default initialisation.

    spec: FullSpec, FullXLSpec, LightSpec...; made without arguments it is the published network.
    card: kind, family, contract...; left out, only the family is set, by the network.

    Example:
        build_adapter(FullSpec(in_channels=1))
    """
    network = network_of(spec)
    return network(spec, AdapterCard(family=network.family) if card is None else card)


def spec_from_dict(values: Mapping[str, Any]) -> AdapterSpec:
    """The spec that AdapterSpec.to_dict wrote; raises CheckpointError for an unknown network and unknown fields."""
    if "network" not in values:
        raise CheckpointError(f"An adapter spec has the fields {sorted(values)} and no network; use an intact file.")
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return find_network(str(fields.pop("network"))).spec_type.from_fields(fields)
