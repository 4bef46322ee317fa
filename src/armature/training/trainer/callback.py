"""What is called while a training runs, and how it leaves no trace there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import nn

from armature.adapters.base import Adapter
from armature.training.checkpoint.state import TrainerState
from armature.training.recipe.duration import Duration


class Callback(Protocol):
    """Called in the first process while the others wait. Must leave the U-Net and all random states as they were."""

    @property
    def every(self) -> Duration:
        """How often; it is also called at step 0 and at the end."""
        ...

    def on_due(self, state: TrainerState, adapter: Adapter) -> dict[str, float]:
        """Figures for the log, by slash-separated names such as "held_out/loss"; pictures go into the run folder.

        adapter: with the averaged weights, if there are any, in evaluation mode and without gradients.
        """
        ...


@contextmanager
def undisturbed(*modules: nn.Module) -> Iterator[None]:
    """No gradients inside; afterwards random states and the modules' training modes are what they were.

    What runs inside is to use generators of its own; this holds for libraries that do not.
    """
    modes = [(part, part.training) for module in modules for part in module.modules()]
    python, arrays = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        for part, mode in modes:
            part.training = mode
