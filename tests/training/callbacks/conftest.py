"""The small bases of the generation tests, and held-out batches of scenes."""

import sys
from pathlib import Path

import pytest
import torch

for room in ("generation", "training"):
    sys.path.insert(0, str(Path(__file__).parents[2] / room))

# Models this small only lose by sharing their work between cores.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_base():
    """A random SD base of 64 pixels, opened and frozen."""
    from small_bases import sd_pipeline

    from armature.bases.open import open_base
    from armature.training.trainer.step import freeze

    base = open_base(sd_pipeline())
    freeze(base.pipeline.unet, base.pipeline.vae)
    return base


@pytest.fixture(scope="session")
def batches(small_base):
    """Five held-out scenes in two batches."""
    from held_out_scenes import HeldOutScenes

    return HeldOutScenes(small_base, 5, 3)
