"""How the same tensor is called in the authors' files and in diffusers' folders; our modules use the authors' names."""

from __future__ import annotations

from typing import Literal

from armature.adapters.spec import AdapterSpec, Network

Layout = Literal["original", "diffusers"]

# (authors' module, diffusers' module). {level} and {block} count from 0 in their level; {flat} counts blocks through
# all levels. A module that a network lacks is simply never looked up.
_FULL = (
    ("conv_in", "adapter.conv_in"),
    ("body.{flat}.in_conv", "adapter.body.{level}.in_conv"),
    ("body.{flat}.block1", "adapter.body.{level}.resnets.{block}.block1"),
    ("body.{flat}.block2", "adapter.body.{level}.resnets.{block}.block2"),
)
_LIGHT = (
    ("body.{level}.in_conv", "adapter.body.{level}.in_conv"),
    ("body.{level}.body.{block}.block1", "adapter.body.{level}.resnets.{block}.block1"),
    ("body.{level}.body.{block}.block2", "adapter.body.{level}.resnets.{block}.block2"),
    ("body.{level}.out_conv", "adapter.body.{level}.out_conv"),
)
_TABLES: dict[Network, tuple[tuple[str, str], ...]] = {"full": _FULL, "full_xl": _FULL, "light": _LIGHT}


def module_names(network: Network, levels: int, blocks: int) -> dict[str, str]:
    """The authors' module name -> diffusers' module name, for a network of so many levels and blocks per level."""
    pairs: dict[str, str] = {}
    for level in range(levels):
        for block in range(blocks):
            place = {"level": level, "block": block, "flat": level * blocks + block}
            for original, diffusers in _TABLES[network]:
                # diffusers has one input convolution per level; the authors have it in the level's first block.
                if block == 0 or "{block}" in diffusers:
                    pairs[original.format(**place)] = diffusers.format(**place)
    return pairs


def to_diffusers(names: list[str], spec: AdapterSpec) -> dict[str, str]:
    """Each original tensor name -> its diffusers name; raises KeyError for a module that diffusers does not have."""
    modules = module_names(spec.network, spec.levels, spec.blocks)
    return {name: _rename(name, modules) for name in names}


def to_original(names: list[str], network: Network, levels: int, blocks: int) -> dict[str, str]:
    """Each diffusers tensor name -> its original name; a name that is not in the table keeps itself."""
    modules = {diffusers: original for original, diffusers in module_names(network, levels, blocks).items()}
    return {name: _rename(name, modules) if name.rpartition(".")[0] in modules else name for name in names}


def _rename(name: str, modules: dict[str, str]) -> str:
    module, _, leaf = name.rpartition(".")
    return f"{modules[module]}.{leaf}"
