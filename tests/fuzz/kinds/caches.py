"""Caches that `prepare` wrote, with other bytes in any of their files: read as they are, and prepared again."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armature.bases.families import family_named
from armature.bases.text import TextStates
from armature.data.cache.build import prepare
from armature.data.cache.cache import Cache, Store
from armature.data.samples.sample import NOTHING, CroppedSample
from armature.data.settings import CacheSettings
from armature.data.sources.source import BadSampleError, Fingerprint, Problem
from armature.errors import ArmatureError
from armature.files import file_digest
from fuzz.kind import INPUT, OUT, Kind
from fuzz.mutate import NUMBERS, Raw, damaged, json_text, odd_json, odd_value, one_of


class _Samples:
    """Five samples in two buckets, one of them bad, two held out."""

    name = "small data"
    training, held_out = (0, 1, 2), (3, 4)

    def fingerprint(self) -> Fingerprint:
        return Fingerprint("pictures", "whole")

    def key(self, index: int) -> str:
        return f"sample-{index}"

    def bucket(self, index: int) -> tuple[int, int]:
        return (64, 64) if index % 2 else (96, 64)

    def load(self, index: int, variant: int = 0, *, with_control: bool = True) -> CroppedSample:
        if index == 2:
            raise BadSampleError(self.key(index), Problem("picture", "It is torn."))
        width, height = self.bucket(index)
        control = np.eye(height, width, dtype=np.uint8) * 255 if with_control else NOTHING
        pixels = np.full((height, width, 3), 10 * index, np.uint8)
        size = (height, width)
        return CroppedSample(index, variant, self.key(index), f"thing {index}", pixels, size, (0, 0), size, control)


class _Encoder:
    """Answers at once what a base's autoencoder and text encoders would after a while."""

    family, name, text_dtype, truncated = family_named("sd"), "small base", torch.float32, 0

    def identity(self) -> str:
        return "small"

    def at_once(self, width: int, height: int) -> int:
        return 4

    def pictures(self, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        mean = torch.from_numpy(pixels[:, ::8, ::8, :1].astype(np.float32) / 255).permute(0, 3, 1, 2).repeat(1, 4, 1, 1)
        return mean, torch.full_like(mean, 0.1)

    def texts(self, captions: Any) -> TextStates:
        return TextStates(torch.stack([torch.full((5, 8), float(len(caption))) for caption in captions]), None)

    def empty(self) -> TextStates:
        return self.texts([""])


def _prepare(folder: Path) -> Cache:
    encoder: Any = _Encoder()
    return prepare(_Samples(), encoder, CacheSettings(folder=str(folder), shard=2), workers=1)


@cache
def _files() -> dict[str, bytes]:
    """A whole cache, by relative path."""
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder))
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _odd_tensors(rng: random.Random, data: bytes) -> bytes:
    """Another header, or other values, in as many bytes as before where that can be."""
    length = struct.unpack("<Q", data[:8])[0]
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    if rng.random() < 0.5:
        at = 4 * rng.randrange(max(1, len(rest) // 4))
        changed = bytearray(rest)
        changed[at : at + 4] = struct.pack("<i", rng.choice((-1, 1, 5, 2**31 - 1, -(2**31))))
        return data[: 8 + length] + bytes(changed[: len(rest)])
    name = rng.choice([*header])
    match rng.randrange(5):
        case 0:
            header[rng.choice(("x", "armature", "text"))] = header.pop(name)
        case 1:
            header.pop(name)
        case 2 if "shape" in header[name]:
            header[name]["shape"] = header[name]["shape"][::-1]
        case 3 if "dtype" in header[name]:
            header[name]["dtype"] = {"I64": "F64", "I32": "F32", "F16": "BF16", "U8": "I8"}.get(
                header[name]["dtype"], "U8"
            )
        case _:
            header[name] = odd_value(rng)
    text = json_text(header).ljust(length)
    return struct.pack("<Q", len(text)) + text + rest


def _odd_manifest(rng: random.Random, data: bytes) -> bytes:
    values = json.loads(data)
    if rng.random() < 0.5:
        return odd_json(rng, values)
    place = values
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = rng.choice(keys)
        if not isinstance(place[key], (dict, list)) or rng.random() < 0.2:
            place[key] = rng.choice((Raw(rng.choice(NUMBERS)), "../../secret/secret.txt", odd_value(rng), -1, 10**9))
            break
        place = place[key]
    return json_text(values)


def _write(rng: random.Random, folder: Path) -> None:
    files = dict(_files())
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(sorted(files))
        data = files[name]
        odd = _odd_manifest if name.endswith(".json") else _odd_tensors
        files[name] = one_of(
            rng,
            (4, lambda odd=odd, data=data: odd(rng, data)),
            (1, lambda data=data: damaged(rng, data)),
            (0.3, lambda: b""),
        )
        if rng.random() < 0.1:
            del files[name]
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    if rng.random() < 0.6:
        _make_fit(folder)


def _make_fit(folder: Path) -> None:
    """Sizes and checksums in the manifests as the changed files have them: what no accident would do."""
    for manifest in folder.glob("*/manifest.json"):
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError, RecursionError, AttributeError):
            values = json.loads(manifest.read_text())
            written = [values["index"], values["empty"], *(shard["written"] for shard in values["shards"])]
            for one in written:
                if one is not None:
                    path = manifest.parent / one["file"]
                    one["size"], one["checksum"] = path.stat().st_size, file_digest(path)
            manifest.write_text(json.dumps(values))


def _use(folder: Path) -> None:
    with contextlib.suppress(ArmatureError):
        _read(folder / INPUT)
    # Another preparation mends whatever it can see is damaged; what it gives can be read, or is told.
    shutil.copytree(folder / INPUT, folder / OUT / "cache")
    _read_all(_prepare(folder / OUT / "cache"))


def _read(folder: Path) -> None:
    [pictures], [controls] = folder.glob("pictures-*"), folder.glob("controls-*")
    stores = Store.finished(pictures), Store.finished(controls)
    if stores[0] is not None and stores[1] is not None:
        _read_all(Cache(stores[0], stores[1]))


def _read_all(cache: Cache) -> None:
    _ = cache.failed
    groups = [cache.entries(numbers, np.zeros(len(numbers), np.int64)) for numbers in cache.training().values()]
    for entries in (*groups, *cache.held_out().values()):
        cache.places(entries)
        with contextlib.suppress(ArmatureError):
            cache.read(entries, np.arange(len(entries)))
    cache.verify()


KIND = Kind(share=1, write=_write, use=_use, warm=_files)
