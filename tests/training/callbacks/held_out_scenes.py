"""Scenes of toyworld, encoded, as the held-out part of `Batches`."""

import numpy as np
import torch

from armature.conditions.kinds import contract_for
from armature.data.encoding.batch import EncodedBatch, control_tensor, stack_controls
from armature.data.encoding.encoder import Encoder
from armature.toyworld import scene

CONTRACT = contract_for("sketch")
SIDE = 64


def middle(pixels):
    return pixels[32 : 32 + SIDE, 32 : 32 + SIDE]


class HeldOutScenes:
    """count scenes' middles with their sketches; asked counts how often they were asked for."""

    def __init__(self, base, count, batch, kind="sketch"):
        encoder = Encoder(base)
        self.empty, self.asked = encoder.empty(), 0
        scenes = [scene(10_000_000 + index) for index in range(count)]
        self._batches = []
        for start in range(0, count, batch):
            part = scenes[start : start + batch]
            mean, std = encoder.pictures(np.stack([middle(drawn.picture) for drawn in part]))
            maps = torch.from_numpy(stack_controls([middle(drawn.condition(kind)) for drawn in part]))
            self._batches.append(
                EncodedBatch(
                    keys=[f"scene {drawn.seed}" for drawn in part],
                    positions=torch.arange(start, start + len(part)),
                    mean=mean,
                    std=std,
                    text=encoder.texts([drawn.caption for drawn in part]),
                    control=control_tensor(maps, CONTRACT, torch.device("cpu")),
                    time_ids=None,
                )
            )

    def held_out(self):
        self.asked += 1
        yield from self._batches

    def close(self):
        pass
