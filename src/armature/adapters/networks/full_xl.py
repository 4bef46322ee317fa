"""The full adapter of SDXL, which differs from that of SD 1.x only in its stem and where it halves."""

from __future__ import annotations

from dataclasses import dataclass

from armature.adapters.base import BaseShape
from armature.adapters.networks.full import FullAdapter, FullSpec

# The level before which it halves its maps, the only one.
_DOWN_LEVEL = 2


@dataclass(frozen=True)
class FullXLSpec(FullSpec):
    """The SDXL adapter as published (79 M parameters), or one with other numbers; see FullSpec."""

    network = "full_xl"

    stride: int = 16

    @property
    def downs(self) -> tuple[bool, ...]:
        """Its third level is the only one that is halved."""
        return tuple(level == _DOWN_LEVEL for level in range(self.levels))

    def problems(self) -> list[str]:
        """Widths that change where the authors' network has no input convolution."""
        problems = super().problems()
        # The authors' SDXL network has an input convolution at its second and third level only.
        if [i for i in range(_DOWN_LEVEL + 1, self.levels) if self.channels[i] != self.channels[i - 1]]:
            problems.append(f"SDXL widths {list(self.channels)} change after the third level, which they cannot")
        return problems


class FullXLAdapter(FullAdapter):
    """The full adapter with a stem of stride 16, halved once. Source: the authors' SDXL branch."""

    spec_type = FullXLSpec
    family = "sdxl"
    expects = "256 (SDXL)"
    diffusers_type = "full_adapter_xl"
    is_xl = True

    @classmethod
    def halves_there(cls, spec: FullSpec, halved: set[int]) -> bool:
        """It is told from the other full network by halving at its third level, and has to have one."""
        return any(spec.downs) and super().halves_there(spec, halved)

    @classmethod
    def stem_stride(cls, base: BaseShape) -> int:
        """SDXL's first site lies after its first downsampler, and the stem must reach it at once."""
        return 2 * base.stride
