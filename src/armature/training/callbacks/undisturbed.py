"""Looking at a training without leaving a trace in it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


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
