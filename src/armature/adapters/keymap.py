"""How the same tensor is called in the authors' files and in diffusers' folders; our modules use the authors' names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class KeyMap:
    """The names of a network's modules in both layouts, as a table.

    rows: (authors' module, diffusers' module). {level} and {block} count from 0 in their level; {flat} counts blocks
    through all levels. A module that a network lacks is simply never looked up.
    """

    rows: tuple[tuple[str, str], ...]

    def modules(self, levels: int, blocks: int) -> dict[str, str]:
        """The authors' module name -> diffusers', for a network of so many levels and blocks per level."""
        pairs: dict[str, str] = {}
        for level in range(levels):
            for block in range(blocks):
                place = {"level": level, "block": block, "flat": level * blocks + block}
                for original, diffusers in self.rows:
                    # diffusers has one input convolution per level; the authors have it in the level's first block.
                    if block == 0 or "{block}" in diffusers:
                        pairs[original.format(**place)] = diffusers.format(**place)
        return pairs

    def to_diffusers(self, names: Iterable[str], levels: int, blocks: int) -> dict[str, str]:
        """Each original tensor name -> its diffusers name; KeyError for a module that diffusers does not have."""
        modules = self.modules(levels, blocks)
        return {name: _renamed(name, modules) for name in names}

    def to_original(self, names: Iterable[str]) -> dict[str, str]:
        """Each diffusers tensor name that the table knows -> its original name, and nothing for the others.

        How many levels and blocks there are is read off the names.
        """
        names = list(names)
        patterns = [_pattern(diffusers) for _, diffusers in self.rows]
        places = [
            match.groupdict()
            for name in names
            for pattern in patterns
            if (match := pattern.fullmatch(name.rpartition(".")[0]))
        ]
        levels = max((int(place["level"]) for place in places if place.get("level")), default=-1) + 1
        blocks = max((int(place["block"]) for place in places if place.get("block")), default=-1) + 1
        # An index in a made-up key must not make the table large; a real adapter has a handful of each.
        if levels * blocks > len(names):
            return {}
        modules = {diffusers: original for original, diffusers in self.modules(levels, blocks).items()}
        return {name: _renamed(name, modules) for name in names if name.rpartition(".")[0] in modules}


def _pattern(template: str) -> re.Pattern[str]:
    """The template of a module's name as an expression with the groups level and block; no index has seven digits."""
    text = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(text.replace("{level}", r"(?P<level>\d{1,6})").replace("{block}", r"(?P<block>\d{1,6})"))


def _renamed(name: str, modules: dict[str, str]) -> str:
    module, _, leaf = name.rpartition(".")
    return f"{modules[module]}.{leaf}"
