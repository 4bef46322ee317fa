"""The training scenes on disk, drawn once (scenes.py) and read by every training of the embedded model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from armature.toyworld import scene

# Seeds below this belong to training; evaluation draws from HELD_OUT upwards and never meets them.
HELD_OUT = 10_000_000
SIDE = 128
MAPS = {"picture": 3, "sketch": 1, "canny": 1, "classes": 1, "colours": 1, "depth": 1}


@dataclass(frozen=True)
class Store:
    """Scenes on disk as memory-mapped arrays (count, 128, 128[, 3]) uint8, with captions and joints beside them."""

    folder: Path
    count: int

    @classmethod
    def open(cls, folder: Path) -> Store:
        """The whole store that scenes.py finished in a folder."""
        return cls(folder, len(json.loads((folder / "captions.json").read_text())))

    def array(self, name: str) -> np.ndarray:
        """The memory-mapped array of one map (a key of MAPS)."""
        shape = (self.count, SIDE, SIDE, 3) if MAPS[name] == 3 else (self.count, SIDE, SIDE)
        return np.memmap(self.folder / f"{name}.u8", np.uint8, "r", shape=shape)

    @property
    def captions(self) -> list[str]:
        """One caption a scene."""
        return json.loads((self.folder / "captions.json").read_text())

    @property
    def joints(self) -> dict[int, list[list[list[float]]]]:
        """Scene number -> people -> 18 (x, y) pairs; scenes without people are absent."""
        return {int(k): v for k, v in json.loads((self.folder / "joints.json").read_text()).items()}


def to_tensor(pictures: np.ndarray) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float in -1..1, channels last in memory."""
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
    return tensor.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


def held_out(count: int) -> Tensor:
    """Pictures (count, 3, 128, 128) in -1..1 of the first held-out scenes, for previews."""
    return to_tensor(np.stack([scene(HELD_OUT + number).picture for number in range(count)]))
