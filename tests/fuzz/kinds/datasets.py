"""Data sets on disk: folders, metadata files and tar shards with damaged, strange and misleading members."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

from armature.bases.families import family_named
from armature.conditions.kinds import contract_for
from armature.data.samples.dataset import open_dataset
from armature.data.samples.sample import try_load
from armature.data.settings import DataSettings
from fuzz.kind import INPUT, Kind
from fuzz.kinds.pictures import odd_picture, originals, pixels, saved
from fuzz.mutate import TEXTS, damaged, json_text, odd_json, odd_value, one_of

_COUNT = 5
_NAMES = (
    "x" * 251, "é" * 125, "caf\udce9", "a\nb", "a\x1b[31m", " ", "-", "a.b.c", "..a", "CON", "0001", "a\u202eb", "%s",
)  # fmt: skip


@cache
def _picture() -> bytes:
    return saved(pixels(size=(72, 64)), "PNG")


@cache
def _map() -> bytes:
    return saved(pixels("L", size=(72, 64)).point(lambda tone: 255 if tone > 250 else 0), "PNG")


def _bytes(rng: random.Random) -> bytes:
    """A picture: mostly a good one, else a damaged one or another kind of file."""
    return _picture() if rng.random() < 0.6 else rng.choice((odd_picture(rng)[1], rng.choice(originals())[1], b""))


def _strange(rng: random.Random, folder: Path) -> None:
    """Something in a folder that is no plain file, or has no plain name."""
    with contextlib.suppress(OSError, ValueError):
        name = rng.choice(
            (f"{rng.choice(_NAMES)}.png", "0001.png", "0001.txt", "metadata.csv", "a.tar", "loop", "0002.jpg")
        )
        path = folder / name
        if path.exists():
            path.unlink()
        match rng.randrange(8):
            case 0:
                os.mkfifo(path)
            case 1:
                path.symlink_to(
                    rng.choice((folder, path, folder.parent, "/dev/zero", "/dev/stdin", "nowhere", "/proc/self/mem"))
                )
            case 2:
                path.mkdir()
            case 3:
                path.touch()
                path.chmod(0)
            case 4:
                path.write_bytes(rng.randbytes(200))
            case 5:
                (folder / "loop").symlink_to(folder)
            case _:
                path.write_bytes(_bytes(rng))


def _caption(rng: random.Random) -> bytes:
    return rng.choice(
        (b"a dog", b"a cat", b"", b" \n", b"caf\xe9", b"\xff\xfea\0", b"\0", b"x" * 300_000, "ü\u2028".encode())
    )


def _folder(rng: random.Random, root: Path) -> dict[str, Any]:
    for number in range(_COUNT):
        name = f"{number:04d}" if rng.random() < 0.8 else rng.choice(_NAMES)
        with contextlib.suppress(OSError):
            (root / f"{name}.png").write_bytes(_bytes(rng))
            (root / f"{name}.txt").write_bytes(_caption(rng) if rng.random() < 0.4 else b"a thing")
            (root / "maps").mkdir(exist_ok=True)
            (root / "maps" / f"{name}.png").write_bytes(_map() if rng.random() < 0.7 else _bytes(rng))
    return {"conditions": "maps"} if rng.random() < 0.5 else {}


def _imagefolder(rng: random.Random, root: Path) -> dict[str, Any]:
    rows = []
    for number in range(_COUNT):
        (root / f"{number}.png").write_bytes(_bytes(rng))
        (root / f"map-{number}.png").write_bytes(_map())
        rows.append({"file_name": f"{number}.png", "text": f"thing {number}", "map": f"map-{number}.png"})
    if rng.random() < 0.6:
        for _ in range(rng.choice((0, 1, 3))):
            rng.choice(rows)[rng.choice(("file_name", "text", "map"))] = rng.choice((odd_value(rng), rng.choice(TEXTS)))
        text = b"\n".join(json_text(row) if rng.random() < 0.8 else odd_json(rng, row) for row in rows)
        name = "metadata.jsonl"
    else:
        lines = ["file_name,text,map", *(",".join(row.values()) for row in rows)]
        text, name = "\n".join(lines).encode(), "metadata.csv"
        odd = (b'"', b"\0", b",,,,,,", b'"' + b"x" * 200_000 + b'"', b"\r\r", b"caf\xe9", b"a" * 400 + b".png,b,c")
        if rng.random() < 0.5:
            text = text.replace(b"\n", b"\n" + rng.choice(odd) + b"\n", 1)
    (root / name).write_bytes(damaged(rng, text) if rng.random() < 0.3 else text)
    return {"conditions": "map"} if rng.random() < 0.5 else {}


def _tar(rng: random.Random) -> bytes:
    file = io.BytesIO()
    form = rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for number in range(3):
            members: dict[str, bytes] = {"png": _bytes(rng), "canny.png": _map()}
            if rng.random() < 0.5:
                members["txt"] = _caption(rng)
            else:
                members["json"] = odd_json(rng, {"text": "a dog"}) if rng.random() < 0.5 else b'{"text": "a dog"}'
            for ending, data in members.items():
                name = (
                    f"{number:04d}"
                    if rng.random() < 0.9
                    else rng.choice((*_NAMES, "../../harmed", "/harmed", "a/" * 60 + "b"))
                )
                info = tarfile.TarInfo(f"{name}.{ending}")
                info.size = len(data)
                if rng.random() < 0.05:
                    info.type = rng.choice(
                        (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"S", b"Z")
                    )
                    info.linkname = "../secret/secret.txt"
                if rng.random() < 0.05 and form == tarfile.PAX_FORMAT:
                    info.pax_headers = {
                        rng.choice(("size", "mtime", "GNU.sparse.map", "path")): rng.choice(
                            ("-5", "9" * 30, "a", "1,x")
                        )
                    }
                with contextlib.suppress(ValueError):
                    archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _odd_sizes(rng: random.Random, data: bytes) -> bytes:
    """A member's size changed to another one, with a right checksum: also to one that leads back."""
    changed = bytearray(data)
    at = 512 * rng.randrange(max(1, len(data) // 512))
    sizes = (
        b"77777777777\0",
        b"\xff" * 11 + bytes([256 - 200]),
        b"\x80" + b"\xff" * 11,
        b"-0000001000\0",
        b"abc\0".ljust(12),
        b"\xff" * 10 + b"\xfc\0",
    )
    changed[at + 124 : at + 136] = rng.choice(sizes)
    changed[at + 148 : at + 156] = b" " * 8
    changed[at + 148 : at + 156] = b"%06o\0 " % sum(changed[at : at + 512])
    return bytes(changed[: len(data)])


def _shards(rng: random.Random, root: Path) -> dict[str, Any]:
    for number in range(2):
        data = _tar(rng)
        data = one_of(
            rng,
            (3, lambda data=data: data),
            (2, lambda data=data: damaged(rng, data)),
            (2, lambda data=data: _odd_sizes(rng, data)),
            (1, lambda data=data: data[: rng.randrange(len(data))]),
            (0.3, lambda: rng.choice((b"", b"\x1f\x8b" + bytes(99), bytes(2048)))),
        )
        (root / f"data-{number}.tar").write_bytes(data)
    return {"conditions": "canny"} if rng.random() < 0.5 else {}


def _write(rng: random.Random, folder: Path) -> None:
    root = folder / "data"
    root.mkdir()
    settings = one_of(
        rng, (1, lambda: _folder(rng, root)), (1, lambda: _imagefolder(rng, root)), (1, lambda: _shards(rng, root))
    )
    for _ in range(rng.choice((0, 0, 1, 2))):
        _strange(rng, root)
    if rng.random() < 0.03:
        settings["source"] = rng.choice(
            (*TEXTS[1:], "a{0..3}.tar", "a{.tar", "a[.tar", "pipe:touch harmed", "s3://a/b.tar")
        )
    (folder / "settings.json").write_text(json.dumps(settings))


def _use(folder: Path) -> None:
    changes = json.loads((folder / INPUT / "settings.json").read_text())
    given = {"source": str(folder / INPUT / "data"), "resolution": 64, "bucket_step": 16, "held_out": 1, **changes}
    data = open_dataset(
        DataSettings(**given, extractor=None if "conditions" in given else "canny", bad_share=0.9),
        kind="canny", contract=contract_for("canny", family="sd"), family=family_named("sd"), stride=8, seed=0,
    )  # fmt: skip
    for number in (*data.training, *data.held_out):
        try_load(data, number, 0, data.bucket(number))
    data.check()
    data.fingerprint()


KIND = Kind(share=1.5, write=_write, use=_use, warm=originals)
