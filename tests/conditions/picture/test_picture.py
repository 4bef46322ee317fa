import io
import os
import struct
import threading

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from armature.conditions.picture.reading import read_picture, read_pixels
from armature.errors import ConditionError


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def test_every_source_gives_the_same_picture(tmp_path, colours):
    Image.fromarray(colours).save(tmp_path / "a.png")
    sources = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        Image.fromarray(colours),
        colours,
        colours.transpose(2, 0, 1),
        colours.astype(np.float32) / 255,
        torch.from_numpy(colours).permute(2, 0, 1),
        torch.from_numpy(colours).permute(2, 0, 1)[None] / 255.0,
    ]
    for source in sources:
        np.testing.assert_array_equal(np.asarray(read_picture(source)), colours)


def test_floats_keep_their_precision():
    values = np.random.default_rng(1).random((16, 16), dtype=np.float32)
    np.testing.assert_array_equal(read_pixels(values).values[..., 0], values)


def test_grey_stays_one_channel_and_palettes_become_colours(colours):
    assert read_picture(Image.fromarray(colours).convert("L")).mode == "L"
    assert read_picture(Image.fromarray(colours).convert("P")).mode == "RGB"
    assert read_picture(Image.fromarray(colours).convert("1")).mode == "L"


def test_sixteen_bits_map_to_the_whole_range(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    pixels = read_pixels(tmp_path / "a.png")
    assert pixels.values.max() == 1
    assert abs(pixels.values[8, 0, 0] - ramp[8, 0] / 65535) < 1e-6
    assert pixels.notes == ()
    assert (
        "65535 was taken as white, but its brightest value is 5000"
        in read_pixels(np.full((9, 9), 5000, np.uint16)).notes[0]
    )


def test_sixteen_bit_colour_is_told(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((16, 16, 3), 40000, np.uint16))
    assert read_pixels(tmp_path / "a.png").notes == ("16 bits a channel were read as 8.",)


def test_cmyk_is_read_and_told(colours):
    pixels = read_pixels(Image.fromarray(colours).convert("CMYK"))
    assert pixels.values.shape == (24, 40, 3)
    assert pixels.notes == ("CMYK was converted to RGB without its colour profile; colours may differ.",)


def test_transparency_is_laid_on_white_unless_white_shows():
    for ink, ground, word in ((0, 255, "white"), (255, 0, "black")):
        image = Image.new("RGBA", (16, 16), (ink, ink, ink, 0))
        image.paste((ink, ink, ink, 255), (4, 4, 8, 8))
        pixels = read_pixels(image)
        assert round(float(pixels.values[0, 0, 0]) * 255) == ground
        assert round(float(pixels.values[5, 5, 0]) * 255) == ink
        assert pixels.notes == (f"Transparent parts were laid on {word}.",)
    assert read_pixels(Image.new("RGBA", (16, 16), (9, 9, 9, 255))).notes == ()


def test_exif_orientation_turns_the_picture(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours).save(tmp_path / "a.jpg", exif=exif)
    pixels = read_pixels(tmp_path / "a.jpg")
    assert pixels.values.shape[:2] == (40, 24)
    assert pixels.notes == ("Turned upright by its EXIF orientation.",)


def bad_files(folder):
    good = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(good, "PNG")
    (folder / "cut.png").write_bytes(good.getvalue()[:3000])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")
    (folder / "sky.exr").write_bytes(b"v/1\x01rest")
    frames = [Image.new("L", (16, 16), shade) for shade in (0, 255)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("L", (1, 1)).save(folder / "dot.png")
    Image.fromarray(np.full((16, 16), 40.0, np.float32)).save(folder / "hdr.tiff")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.png", "No picture at .*gone.png'"),
        ("empty.png", "is empty \\(0 bytes\\)"),
        ("text.png", "cannot be read as a picture \\(UnidentifiedImageError\\); expected PNG"),
        ("cut.png", "cut.png' is truncated or damaged"),
        ("sky.exr", "high-dynamic-range file; tone-map it"),
        ("moving.gif", "is animated or has pages \\(2 frames\\); save the one you mean"),
        ("dot.png", "is 1 x 1 px; expected at least 8 px on each side"),
        ("hdr.tiff", "Floats from 40 to 40 are not a picture in 0..1; if the range is 0..255, convert to uint8"),
        (".", "is a folder; expected one picture"),
    ],
)
def test_bad_files_are_one_clear_error(tmp_path, name, message):
    bad_files(tmp_path)
    with pytest.raises(ConditionError, match=message):
        read_picture(tmp_path / name)


def test_decompression_bomb_names_the_limit_and_the_way_to_raise_it(tmp_path, monkeypatch):
    Image.new("1", (3000, 3000)).save(tmp_path / "a.png")
    monkeypatch.setenv("ARMATURE_MAX_PIXELS", "1000000")
    with pytest.raises(ConditionError, match=r"3000 x 3000 px, above the limit of 1000000 .* with ARMATURE_MAX_PIXELS"):
        read_picture(tmp_path / "a.png")
    monkeypatch.setenv("ARMATURE_MAX_PIXELS", "9000000")
    assert read_picture(tmp_path / "a.png").size == (3000, 3000)
    monkeypatch.setenv("ARMATURE_MAX_PIXELS", "many")
    with pytest.raises(ConditionError, match="is 'many'; expected a whole number"):
        read_picture(tmp_path / "a.png")


def test_pillows_own_limit_is_left_alone(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    Image.new("L", (16, 16)).save(tmp_path / "a.png")
    read_picture(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((3, 64, 3)), "ambiguous: channels could be first or last"),
        (np.zeros((64, 64, 7)), "has no channel axis of 1, 3 or 4"),
        (np.zeros((2, 3, 64, 64)), "is not one picture"),
        (np.zeros((0, 64, 3)), "The array is empty"),
        (np.zeros((64, 64), np.int64), "type int64 has no clear white point"),
        (np.full((64, 64), np.nan), "NaN or infinite"),
        (np.full((64, 64), 200.0), "if the range is 0..255, convert to uint8"),
        (np.linspace(-1, 1, 64 * 64).reshape(64, 64), r"if the range is -1..1, pass \(values \+ 1\) / 2"),
        (np.full((64, 64), 4000.0), "metric data must be mapped to 0..1"),
        (torch.full((3, 16, 16), 2.0), "not a picture in 0..1"),
        (5, "A int is not a picture"),
        ("https://example.org/a.png", "is a web address; download"),
    ],
)
def test_unclear_sources_are_refused(source, message):
    with pytest.raises(ConditionError, match=message):
        read_picture(source)


def test_half_precision_and_gradient_tensors_are_read():
    assert read_picture(torch.rand(3, 16, 16, dtype=torch.bfloat16)).size == (16, 16)
    assert read_picture(torch.rand(1, 16, 16, requires_grad=True)).mode == "L"


def within(seconds, call):
    """What a call gives; a failure, not a test that hangs, when it takes longer."""
    given = []
    thread = threading.Thread(target=lambda: given.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert given, f"it still waits after {seconds} s"
    return given[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")

    def refused():
        with pytest.raises(ConditionError, match="is no regular file, and its end might never come"):
            read_pixels(tmp_path / "a.png")
        return True

    within(60, refused)


@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n",
        b'/* XPM */\nstatic char * a[] = {\n"9 9 1 1",\n"a c #FFFFFF",\n' + b'"aaaaaaaaa",\n' * 9 + b"};",
    ],
)
def test_a_file_that_would_start_another_program_is_no_picture(tmp_path, monkeypatch, content):
    """Pillow hands PostScript, whatever its file is called, to Ghostscript."""
    monkeypatch.setattr("subprocess.check_call", lambda *rest, **options: pytest.fail("a program was started"))
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ConditionError, match=r"cannot be read as a picture \(UnidentifiedImageError\)"):
        read_pixels(tmp_path / "a.png")


def test_broken_metadata_leave_the_pixels(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    for number, data in enumerate((exif.tobytes()[:20], b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\xff" * 30)):
        Image.fromarray(colours).save(tmp_path / f"{number}.webp", exif=data, lossless=True)
        assert np.array_equal(np.asarray(read_picture(tmp_path / f"{number}.webp")), colours)


def test_pages_that_cannot_be_counted_are_an_error_in_words(tmp_path, colours):
    Image.fromarray(colours).save(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    (directory,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * entries, 2)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(ConditionError, match=r"a\.tif' is truncated or damaged"):
        read_pixels(tmp_path / "a.tif")


def test_names_that_no_file_system_has():
    with pytest.raises(ConditionError, match="cannot be looked for"):
        read_pixels("x" * 300 + ".png")
