"""Pictures of every format and mode, damaged as bytes, as chunks and segments, and in what they say of themselves."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from armature.conditions.control_map import prepare_control
from armature.conditions.folder import Job, extract_file
from armature.conditions.kinds import contract_for
from armature.conditions.picture.reading import read_pixels
from armature.data.sources.reading import FileBytes, ends_digest, read_upright, upright_size
from armature.errors import ArmatureError
from armature.generation.settings import name_picture
from fuzz.kind import INPUT, OUT, Kind
from fuzz.mutate import TEXTS, damaged, one_of

_SIZES = (0, 1, 7, 8, 1000, 1500, 65_535, 65_536, 2**31 - 1, 2**32 - 1)


def pixels(mode: str = "RGB", size: tuple[int, int] = (40, 32)) -> Image.Image:
    """A small picture with something on it."""
    y, x = np.mgrid[: size[1], : size[0]]
    tones = np.stack([x * 6, y * 8, (x + y) * 3], axis=-1) % 256
    tones[8:20, 10:30] = 255
    return Image.fromarray(tones.astype(np.uint8)).convert(mode)


def saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _frames(form: str) -> bytes:
    return saved(pixels(), form, save_all=True, append_images=[pixels().rotate(90), pixels().rotate(180)])


def exif(orientation: Any = 6) -> bytes:
    """EXIF data with an orientation and a few words."""
    data = Image.Exif()
    data[0x0112], data[0x010E], data[0x8298] = orientation, "a picture", "somebody"
    return data.tobytes()


@cache
def originals() -> list[tuple[str, bytes]]:
    """Small pictures in all formats that are read, and in some that look like them: ending and bytes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    words = PngInfo()
    words.add_text("armature", '{"version": 2}')
    words.add_text("parameters", "a cat\nSteps: 20", zip=True)
    words.add_itxt("Comment", "über", zip=True)
    deep = Image.fromarray((np.arange(1280).reshape(32, 40) * 50).astype(np.uint16))
    real = Image.fromarray(np.linspace(0, 1, 1280, dtype=np.float32).reshape(32, 40))
    found = [("png", saved(pixels(mode), "PNG")) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    found += [
        ("png", saved(pixels(), "PNG", exif=exif(), icc_profile=profile, pnginfo=words, dpi=(72, 72))),
        ("png", saved(pixels("P"), "PNG", transparency=bytes(range(256)))),
        ("png", saved(deep, "PNG")),
        ("png", _frames("PNG")),
        ("jpg", saved(pixels(), "JPEG", exif=exif(), icc_profile=profile, comment=b"words")),
        ("jpg", saved(pixels(), "JPEG", progressive=True, subsampling=2)),
        ("jpg", saved(pixels("L"), "JPEG")),
        ("jpg", saved(pixels("CMYK"), "JPEG")),
        ("jpg", _frames("MPO")),
        ("webp", saved(pixels("RGBA"), "WEBP", lossless=True, exif=exif(), icc_profile=profile)),
        ("webp", saved(pixels(), "WEBP", quality=50)),
        ("webp", _frames("WEBP")),
        ("gif", saved(pixels("P"), "GIF", transparency=3, comment=b"words")),
        ("gif", _frames("GIF")),
        ("bmp", saved(pixels(), "BMP")),
        ("bmp", saved(pixels("P"), "BMP")),
        ("tif", saved(pixels("YCbCr"), "TIFF")),
        ("tif", saved(deep, "TIFF")),
        ("tif", saved(real, "TIFF")),
        ("tif", _frames("TIFF")),
        ("tif", saved(pixels("CMYK"), "TIFF", icc_profile=profile)),
    ]
    for packing in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        found.append(("tif", saved(pixels(), "TIFF", compression=packing, exif=exif())))
    found += [("tif", saved(pixels("1"), "TIFF", compression=packing)) for packing in ("group3", "group4")]
    # Formats that nobody gives on purpose, under endings that are read.
    for form, mode in (("PPM", "RGB"), ("TGA", "RGBA"), ("PCX", "L"), ("ICO", "RGB"), ("DDS", "RGB"), ("SGI", "RGB")):
        found.append(("png", saved(pixels(mode), form)))
    found.append(("jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n"))
    found.append(
        ("png", b'/* XPM */\nstatic char * a[] = {\n"9 9 1 1",\n"a c #FFFFFF",\n' + b'"aaaaaaaaa",\n' * 9 + b"};")
    )
    return found


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Names and contents of a PNG's chunks."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of these chunks, each with a right checksum."""
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _odd_png(rng: random.Random) -> bytes:
    """Chunks that are wrong inside, whose checksums are right."""
    chunks = png_chunks(rng.choice([data for ending, data in originals() if data.startswith(b"\x89PNG")]))
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(chunks))
        name, data = chunks[at]
        match rng.randrange(7):
            case 0:
                head = bytearray(chunks[0][1].ljust(13, b"\0"))
                head[0:8] = struct.pack(">II", rng.choice(_SIZES), rng.choice(_SIZES))
                chunks[0] = (chunks[0][0], bytes(head))
            case 1:
                head = bytearray(chunks[0][1].ljust(13, b"\0"))
                head[rng.randrange(8, 13)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
                chunks[0] = (chunks[0][0], bytes(head))
            case 2:
                chunks[at] = (name, damaged(rng, data))
            case 3:
                chunks.insert(
                    at,
                    (
                        rng.choice(
                            (
                                b"eXIf",
                                b"iCCP",
                                b"zTXt",
                                b"iTXt",
                                b"tRNS",
                                b"acTL",
                                b"fcTL",
                                b"IDAT",
                                b"pHYs",
                                b"gAMA",
                                b"PLTE",
                            )
                        ),
                        rng.randbytes(rng.randrange(40)),
                    ),
                )
            case 4:
                bomb = zlib.compress(bytes(rng.choice((10**6, 10**7))))
                chunks.insert(
                    max(1, at),
                    rng.choice(
                        ((b"zTXt", b"a\0\0" + bomb), (b"iTXt", b"a\0\1\0\0\0" + bomb), (b"iCCP", b"a\0\0" + bomb))
                    ),
                )
            case 5:
                chunks.insert(at, chunks[at])
            case _:
                del chunks[at]
        chunks = chunks or [(b"IHDR", b"")]
    return png_of(chunks)


def _odd_tiff(rng: random.Random) -> bytes:
    """Entries of the directory with other types, counts and values, and pages that lead nowhere or in circles."""
    data = bytearray(rng.choice([one for ending, one in originals() if ending == "tif"]))
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    for _ in range(rng.choice((1, 1, 2, 3))):
        entry = at + 2 + 12 * rng.randrange(entries)
        match rng.randrange(5):
            case 0:
                struct.pack_into(
                    "<H",
                    data,
                    entry,
                    rng.choice((256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 282, 317, 320, 339, 34665, 700)),
                )
            case 1:
                struct.pack_into("<H", data, entry + 2, rng.randrange(0, 20))
            case 2:
                struct.pack_into("<I", data, entry + 4, rng.choice(_SIZES))
            case 3:
                struct.pack_into("<I", data, entry + 8, rng.choice((*_SIZES, at, entry, len(data))))
            case _:
                struct.pack_into("<I", data, at + 2 + 12 * entries, rng.choice((at, 2, len(data) - 2, 2**31, 8)))
    return bytes(data)


def _odd_exif(rng: random.Random) -> bytes:
    words = rng.choice((damaged(rng, exif()), exif(rng.choice((0, 9, 65_535))), b"Exif\0\0", rng.randbytes(30)))
    form = rng.choice(("JPEG", "PNG", "WEBP"))
    try:
        return saved(pixels(), form, exif=words)
    except Exception:  # Pillow reads what it is to write, for PNG
        return saved(pixels(), "WEBP", exif=words)


def odd_picture(rng: random.Random) -> tuple[str, bytes]:
    """Ending and bytes of a picture that is wrong somewhere."""
    ending, data = rng.choice(originals())
    return one_of(
        rng,
        (3, lambda: (ending, damaged(rng, data))),
        (1, lambda: (ending, data[: rng.randrange(len(data))])),
        (3, lambda: ("png", _odd_png(rng))),
        (2, lambda: ("tif", _odd_tiff(rng))),
        (1, lambda: (rng.choice(("jpg", "png", "webp")), _odd_exif(rng))),
        (0.5, lambda: (rng.choice(("png", "exr", "jpg")), data)),
        (
            0.3,
            lambda: ("png", rng.choice((b"", b"x", b"<svg/>", b"GIF89a", b"RIFF", b"II*\0", b"BM", rng.randbytes(99)))),
        ),
    )


def _write(rng: random.Random, folder: Path) -> None:
    ending, data = odd_picture(rng)
    name = rng.choice(("a", "a", "a", "x" * 240, "a\x1b[31m", "caf\udce9", *TEXTS[:3])).replace("\0", "") or "b"
    path = folder / f"{name}.{ending}"
    if rng.random() < 0.01:
        with contextlib.suppress(OSError):
            os.mkfifo(path)
    if not path.exists():
        path.write_bytes(data)


def _use(folder: Path) -> None:
    [path] = (folder / INPUT).iterdir()
    with contextlib.suppress(ArmatureError):
        upright_size(FileBytes(path))
    ends_digest(FileBytes(path))
    with contextlib.suppress(ArmatureError):
        read_upright(FileBytes(path))
    read = read_pixels(path)
    assert np.isfinite(read.values).all(), "values that are no numbers"
    assert 0 <= read.values.min() <= read.values.max() <= 1, "values outside 0..1"
    name_picture(path)
    for kind in ("sketch", "depth", "seg"):
        with contextlib.suppress(ArmatureError):
            prepare_control(path, contract_for(kind), size=(64, 64))
    extract_file(Job("canny"), path, folder / OUT / "map.png")


def _warm() -> None:
    import tempfile

    originals()
    with tempfile.TemporaryDirectory() as folder:
        pixels(size=(64, 64)).save(picture := Path(folder, "a.png"))
        extract_file(Job("canny"), picture, Path(folder, "map.png"))
        prepare_control(picture, contract_for("depth"), size=(64, 64))


KIND = Kind(share=5, write=_write, use=_use, warm=_warm)
