"""The small bases of the generation tests, and scenes as framed data."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "generation"))

# Models this small only lose by sharing their work between cores.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_base():
    """A random SD base of 64 pixels, opened."""
    from small_bases import sd_pipeline

    from armature.bases.open import open_base

    return open_base(sd_pipeline())
