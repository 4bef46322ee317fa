"""From a spec to a network."""

from __future__ import annotations

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.full import FullAdapter
from armature.adapters.light import LightAdapter
from armature.adapters.spec import AdapterSpec, Network

_CLASSES: dict[Network, type[FullAdapter] | type[LightAdapter]] = {
    "full": FullAdapter,
    "full_xl": FullAdapter,
    "light": LightAdapter,
}


def build_adapter(spec: AdapterSpec, card: AdapterCard | None = None) -> Adapter:
    """Build the network that a spec describes, with torch's default initialisation.

    spec: see AdapterSpec and the presets full_spec, full_xl_spec, light_spec.
    card: kind, family, contract...; left out, only the family is set, by the network ("full_xl" is SDXL's).
    """
    if card is None:
        card = AdapterCard(family="sdxl" if spec.network == "full_xl" else "sd")
    return _CLASSES[spec.network](spec, card)
