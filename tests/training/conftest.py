"""Small bases on disk, and a folder of pictures with captions."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "generation"))
sys.path.insert(0, str(Path(__file__).parents[1] / "bases"))


@pytest.fixture(scope="session")
def base_folders(tmp_path_factory):
    """Paths by name: sd, sdxl (diffusers folders), sketch, xl_sketch (adapter folders)."""
    from small_bases import write_bases

    return write_bases(tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory):
    """Twelve pictures of 72 or 80 by 72 pixels, each with a caption in a .txt file."""
    from PIL import Image, ImageDraw

    folder = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        picture = Image.new("RGB", (72 + 8 * (number % 2), 72), (20 * number, 130, 90))
        ImageDraw.Draw(picture).ellipse((6 + number, 10, 40 + number, 60), fill=(200, 40, 17 * number))
        picture.save(folder / f"ball-{number}.png")
        (folder / f"ball-{number}.txt").write_text(f"a ball, number {number}")
    return folder


@pytest.fixture
def small_recipe(base_folders, picture_folder, tmp_path):
    """A recipe of three steps on the small SD base, as a mapping; everything it writes goes to tmp_path."""
    return {
        "run": str(tmp_path / "run"),
        "base": {"model": str(base_folders["sd"])},
        "adapter": {"kind": "canny", "blocks": 1},
        "data": {"source": str(picture_folder), "resolution": 64, "bucket_step": 0, "held_out": 2},
        "cache": {"folder": str(tmp_path / "cache")},
        "train": {"length": "3 steps", "batch": 2, "learning_rate": 1e-3, "workers": 0},
        "logging": {"every": "1 step", "tensorboard": False},
        "eval": {"every": "never", "preview_every": "never"},
        "checkpoint": {"every": "2 steps"},
    }
