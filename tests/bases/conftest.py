"""The small bases of the generation tests, on disk and in memory."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "generation"))
sys.path.insert(0, str(Path(__file__).parent))

# Models this small only lose by sharing their work between cores.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bases(tmp_path_factory):
    """Paths by name: sd, sdxl (diffusers folders), sketch, xl_sketch (adapter folders)."""
    from small_bases import write_bases

    return write_bases(tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Paths by name: lines (white on black), ink (black on white), photo, mask (left half white)."""
    from small_bases import write_pictures

    return write_pictures(tmp_path_factory.mktemp("pictures"))
