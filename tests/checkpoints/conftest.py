"""Small adapters of every network, with weights that differ from tensor to tensor."""

from collections.abc import Callable

import pytest
import torch

from armature.adapters.base import Adapter
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.networks.light import LightSpec
from armature.adapters.registry import build_adapter
from armature.adapters.spec import AdapterSpec

SMALL = {
    "full": FullSpec(3, (8, 16, 32, 32)),
    "full_1ch": FullSpec(1, (8, 16, 24, 32)),
    "full_xl": FullXLSpec(3, (8, 16, 32, 32)),
    "light": LightSpec(3, (8, 16, 32, 32), blocks=2),
    "tiny": LightSpec(3, (8, 16, 32, 32), blocks=1, divisor=8),
    "variant": FullSpec(3, (8, 8, 16, 16), kernel=3, skep=True, conv_down=True),
}


@pytest.fixture
def make() -> Callable[[AdapterSpec | str], Adapter]:
    """Build a small adapter by name or spec; the same call gives the same weights."""

    def build(which: AdapterSpec | str) -> Adapter:
        torch.manual_seed(0)
        return build_adapter(SMALL[which] if isinstance(which, str) else which)

    return build
