"""Pictures of every sort are read upright, and their sizes are known from their headers."""

import numpy as np
import pytest
from picture_folders import lines, picture, settings, write_folder
from PIL import Image

from armature.conditions.picture.reading import read_picture
from armature.data.sources.open import open_source
from armature.data.sources.reading import FileBytes, read_upright, upright_size


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_turned_pictures_are_upright_and_their_size_as_well(suffix, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = np.zeros((48, 96, 3), np.uint8)
    turned[:12, :12] = 255
    Image.fromarray(turned).save(tmp_path / f"a.{suffix}", exif=exif)
    (tmp_path / "a.txt").write_text("a corner")
    source = open_source(settings(tmp_path), "sketch")
    sample = source.read(0)
    assert sample.picture.shape[1::-1] == source.size(0) == ((48, 96) if orientation in (6, 8) else (96, 48))
    height, width = sample.picture.shape[:2]
    row, column = {1: (2, 2), 3: (height - 3, width - 3), 6: (2, width - 3), 8: (height - 3, 2)}[orientation]
    assert sample.picture[row, column].min() > 200
    assert (sample.picture.min(axis=-1) > 200).mean() < 0.05


def test_sixteen_bit_maps_and_palette_pictures_are_read(tmp_path):
    write_folder(tmp_path, 1)
    depth = (np.arange(64 * 96, dtype=np.uint32).reshape(64, 96) * 10).astype(np.uint16)
    Image.fromarray(depth).save(tmp_path / "maps/0000.png")
    Image.fromarray(picture(0)).quantize(16).save(tmp_path / "pictures/0000.png")
    sample = open_source(settings(tmp_path / "pictures", conditions="../maps"), "depth").read(0)
    assert sample.picture.shape == (64, 96, 3)
    assert np.array_equal(sample.condition, np.rint(depth / 65535 * 255).astype(np.uint8))
    dark = np.minimum(depth, 900)
    Image.fromarray(dark).save(tmp_path / "maps/0000.png")
    sample = open_source(settings(tmp_path / "pictures", conditions="../maps"), "depth").read(0)
    assert any("it will look dark" in note for note in sample.notes)


MODES = {
    "jpg": ("RGB", "L", "CMYK"),
    "png": ("RGB", "L", "P", "RGBA", "1"),
    "tif": ("RGB", "L", "P", "RGBA", "CMYK", "1"),
    "webp": ("RGB", "L", "RGBA"),
    "bmp": ("RGB", "L", "P", "RGBA", "1"),
}


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix, modes in MODES.items() for mode in modes])
def test_every_mode_is_read_as_the_library_reads_pictures_elsewhere(suffix, mode, tmp_path):
    path = tmp_path / f"a.{suffix}"
    image = Image.fromarray(picture(0)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(lines(0)))
    image.save(path)
    found = read_upright(FileBytes(path))
    assert np.array_equal(found.pixels, np.asarray(read_picture(path)))
    assert upright_size(FileBytes(path)) == image.size
