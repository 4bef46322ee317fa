"""The settings inside a PNG: damaged JSON, wrong types and numbers, and text chunks that are none."""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from armature.generation.record import parameters_text, read_settings, write_pictures
from armature.generation.settings import ControlSettings, PictureName, Settings
from fuzz.kind import INPUT, OUT, Kind
from fuzz.kinds.pictures import pixels, png_chunks, png_of, saved
from fuzz.mutate import NUMBERS, TEXTS, Raw, damaged, json_text, odd_json, odd_value, one_of

_CONTROL = ControlSettings(
    "sketch",
    "embedded:sketch",
    PictureName("cat.png", "ab"),
    "",
    0.8,
    (1.0, 0.5),
    0.0,
    0.6,
    PictureName(),
    "stretch",
    "both",
)
_BOMB = zlib.compress(bytes(3 * 10**6))
_SETTINGS = Settings(
    prompt="a cat,\nsitting", negative="dog", mode="text", base="owner/model", vae="", config="", family="sd",
    sampler="euler-a", steps=20, guidance=7.5, seed=5, count=1, width=512, height=768, strength=1.0,
    init=PictureName(), inpaint=PictureName(), controls=(_CONTROL,), dtype="float32", device="cpu",
)  # fmt: skip


def _typed(rng: random.Random) -> bytes:
    """A record with one or two fields of another kind."""
    record: Any = json.loads(json.dumps(_SETTINGS.to_record()))
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.choice((record, record, record["controls"][0] if record["controls"] else record))
        if not isinstance(place, dict):
            place = record
        place[rng.choice(list(place))] = rng.choice((Raw(rng.choice(NUMBERS)), rng.choice(TEXTS), odd_value(rng)))
        if not isinstance(record.get("controls"), list):
            break
    return json_text(record)


def _chunk(rng: random.Random, text: bytes) -> tuple[bytes, bytes]:
    return rng.choice(
        (
            (b"tEXt", b"armature\0" + text),
            (b"tEXt", b"armature\0" + text),
            (b"zTXt", b"armature\0\0" + zlib.compress(text)),
            (b"iTXt", b"armature\0\0\0\0\0" + text),
            (b"iTXt", b"armature\0\1\0de\0\0" + zlib.compress(text)),
            (b"iTXt", damaged(rng, b"armature\0\1\0de\0\0" + zlib.compress(text))),
            (b"zTXt", b"armature\0\0" + _BOMB),
        )
    )


def _write(rng: random.Random, folder: Path) -> None:
    record = json.loads(json.dumps(_SETTINGS.to_record()))
    text = one_of(
        rng,
        (5, lambda: _typed(rng)),
        (3, lambda: odd_json(rng, record)),
        (1, lambda: rng.choice((b"", b"[" * 200_000, b'{"a":' * 60_000, b"\xff\xfe", b"null", b'"a"'))),
        (0.5, lambda: json_text(record)),
    )
    chunks = png_chunks(saved(pixels(), "PNG"))
    for _ in range(rng.choice((1, 1, 1, 2))):
        chunks.insert(rng.choice((1, 1, len(chunks) - 1)), _chunk(rng, text))
    data = png_of(chunks)
    (folder / "picture.png").write_bytes(damaged(rng, data) if rng.random() < 0.1 else data)


def _use(folder: Path) -> None:
    settings = read_settings(folder / INPUT / "picture.png")
    parameters_text(settings)
    write_pictures([Image.new("RGB", (16, 16))], settings, [folder / OUT / "again.png"])
    assert read_settings(folder / OUT / "again.png") == settings.single(0), "the record reads back as another one"


KIND = Kind(share=1.5, write=_write, use=_use)
