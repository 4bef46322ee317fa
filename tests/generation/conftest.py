"""Small random bases on disk, in the folder layout of the real ones, and pictures to control them with."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

torch.set_num_threads(1)

from small_bases import write_bases, write_pictures  # noqa: E402 (the path comes first)


@pytest.fixture(scope="session")
def bases(tmp_path_factory):
    """Paths by name: sd, sdxl (diffusers folders), sketch, xl_sketch (adapter folders)."""
    return write_bases(tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Paths by name: lines (white on black), ink (black on white), photo, mask (left half white)."""
    return write_pictures(tmp_path_factory.mktemp("pictures"))
