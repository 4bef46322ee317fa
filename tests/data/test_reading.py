"""Pictures of every sort are read upright, and their sizes are known from their headers."""

import numpy as np
import pytest
from picture_folders import lines, picture, settings, write_folder
from PIL import Image

from armature.conditions.picture import read_picture
from armature.data.open_source import open_source
from armature.data.parts import FilePart
from armature.data.reading import read_upright, upright_size


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
    found = read_upright(FilePart(path))
    assert np.array_equal(found.pixels, np.asarray(read_picture(path)))
    assert upright_size(FilePart(path)) == image.size
