"""Weight files and adapters' folders: safetensors headers, torch archives, pickles, configs and indices of shards."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import Any

import torch

from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.networks.fuser import FuserSpec
from armature.adapters.networks.light import LightSpec
from armature.adapters.networks.style import StyleSpec
from armature.adapters.registry import build_adapter
from armature.adapters.save import STEM, save_adapter
from armature.bases.tensor_names import tensor_names
from armature.checkpoints.detect import detect
from armature.checkpoints.inspect import inspect
from armature.checkpoints.load import load_adapter
from armature.errors import ArmatureError
from fuzz.kind import CANARY, INPUT, OUT, Kind
from fuzz.mutate import NUMBERS, TEXTS, Raw, damaged, json_text, odd_json, odd_value, one_of

_SPECS = (
    FullSpec(3, (4, 8, 8, 8)),
    FullSpec(1, (4, 8, 8, 8), blocks=1),
    FullXLSpec(3, (4, 8, 8, 8)),
    LightSpec(3, (8, 16, 32, 32), blocks=2),
    LightSpec(3, (8, 16, 32, 32), blocks=1, divisor=8),
    StyleSpec(width=16, context=16, heads=2, layers=1),
    FuserSpec((4, 8, 8, 8), width=16, heads=2, layers=1, tasks=16),
)
_DTYPES = ("BOOL", "U8", "I8", "I16", "F16", "BF16", "I32", "F32", "F64", "I64", "F8_E4M3", "F4", "C64", "X", "")
_ENDINGS = ("safetensors", "safetensors", "pth", "pt", "bin", "ckpt", "SAFETENSORS", "txt", "")


@cache
def _originals() -> list[tuple[bytes, dict[str, Any], dict[str, torch.Tensor], dict[str, Any]]]:
    """Small adapters of every network and layout: data, header, tensors, and the config of their folder."""
    import tempfile

    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, spec in enumerate(_SPECS):
            torch.manual_seed(number)
            place = Path(folder, str(number))
            adapter = build_adapter(spec)
            save_adapter(adapter, place)
            config = json.loads((place / "config.json").read_text())
            for data in ((place / f"{STEM}.safetensors").read_bytes(), _original(adapter, place)):
                length = struct.unpack("<Q", data[:8])[0]
                found.append((data[8 + length :], json.loads(data[8 : 8 + length]), adapter.state_dict(), config))
    return found


def _original(adapter: Any, place: Path) -> bytes:
    return save_adapter(adapter, place / "original.safetensors", layout="original").read_bytes()


def _safetensors(header: bytes, data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def _odd_header(rng: random.Random) -> bytes:
    """A header that says something else than the data behind it."""
    data, header, _, _ = rng.choice(_originals())
    header = json.loads(json.dumps(header))
    names = [name for name in header if name != "__metadata__"]
    for _ in range(rng.choice((1, 1, 2, 5))):
        name = rng.choice(names)
        entry: Any = header.setdefault(name, {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
        match rng.randrange(9):
            case 0:
                entry["dtype"] = rng.choice((*_DTYPES, Raw(rng.choice(NUMBERS)), odd_value(rng)))
            case 1:
                entry["data_offsets"] = [Raw(rng.choice(NUMBERS)) if rng.random() < 0.6 else at for at in (0, 4)]
            case 2:
                other: Any = header.get(rng.choice(names)) or {}
                entry["data_offsets"] = other.get("data_offsets", [8, 4])
            case 3:
                entry["shape"] = rng.choice(
                    ([], [0], [Raw(rng.choice(NUMBERS))], [2**32, 2**32], [1] * 500, odd_value(rng), [[1]], [True])
                )
            case 4:
                header[rng.choice(TEXTS)] = header.pop(name)
                header.setdefault(name, entry)
            case 5:
                header[name] = odd_value(rng)
            case 6:
                entry[rng.choice(("x", "shape ", ""))] = odd_value(rng)
            case 7:
                header.pop(name, None)
            case _:
                header["__metadata__"] = rng.choice((odd_value(rng), {"a": Raw("1")}, {"": ""}, {"a": "b" * 10_000}))
        names = [one for one in header if one != "__metadata__"] or ["conv_in.weight"]
        header = {key: value for key, value in header.items() if isinstance(value, dict) or rng.random() < 0.9}
        for key in names:
            if not isinstance(header.get(key), dict):
                header[key] = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} if rng.random() < 0.5 else None
    return _safetensors(json_text(header), data)


def _odd_metadata(rng: random.Random) -> bytes:
    """Intact weights whose own words about them are not."""
    data, header, _, _ = rng.choice(_originals())
    header = json.loads(json.dumps(header))
    told = header["__metadata__"]
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice([*told, "armature.metadata", "armature.new", "format", "modelspec.title"])
        try:
            old = json.loads(told.get(name, "{}"))
        except ValueError:
            old = {}
        told[name] = rng.choice((odd_json(rng, old).decode("utf-8", "surrogateescape"), rng.choice(TEXTS)))
    return _safetensors(json_text(header), data)


def _odd_safetensors(rng: random.Random) -> bytes:
    data, header, _, _ = rng.choice(_originals())
    text = json_text(header)

    def not_finite() -> bytes:
        changed = bytearray(data)
        at = 4 * rng.randrange(len(data) // 4)
        changed[at : at + 4] = struct.pack("<f", rng.choice((float("nan"), float("inf"), 3e38)))
        return _safetensors(text, bytes(changed))

    return one_of(
        rng,
        (4, lambda: _odd_header(rng)),
        (3, lambda: _odd_metadata(rng)),
        (2, lambda: _safetensors(odd_json(rng, header), data)),
        (1, lambda: damaged(rng, _safetensors(text, data))),
        (0.5, lambda: _safetensors(damaged(rng, text), data)),
        (
            0.5,
            lambda: _safetensors(text, data, rng.choice((0, 1, len(text) - 1, len(text) + 9, 2**31, 2**62, 2**64 - 1))),
        ),
        (0.3, lambda: _safetensors(text + b" " * rng.choice((1, 8, 100_000)), data)),
        (0.3, lambda: _safetensors(rng.choice((b"[" * 200_000, b'{"a":' * 100_000, b"{}", b"null", b"")), data)),
        (0.3, lambda: _safetensors(text[:-1] + b"," + text[1:], data)),
        (0.4, not_finite),
        (0.3, lambda: _safetensors(text, data)),
    )


class Harm:
    """Pickled, it asks to make the canary's folder when it is loaded, in one of several ways."""

    def __init__(self, way: int, place: str) -> None:
        self.way, self.place = way, place

    def __reduce__(self) -> Any:
        ways = (
            (os.mkdir, (self.place,)),
            (os.system, (f"mkdir '{self.place}'",)),
            (eval, (f"__import__('os').mkdir({self.place!r})",)),
            (exec, (f"import os; os.mkdir({self.place!r})",)),
            (getattr, ("a", "join")),
            (torch.load, (self.place,)),
            (torch.hub.load, ("a/b", "c")),
            (pickle.loads, (b"cos\nmkdir\n(V" + self.place.encode() + b"\ntR.",)),
            (torch.zeros, (2**40,)),
        )
        return ways[self.way % len(ways)]


class Stranger:
    """A class instance, as training scripts leave them in their files."""


def _odd_tensor(rng: random.Random) -> Any:
    """Something that stands where a tensor was expected."""
    ways = (
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.eye(4).to_sparse_csr(),
        lambda: torch.empty(rng.choice((3, 2**40)), device="meta"),
        lambda: torch.zeros(1).expand(rng.choice((9, 10**6)), 10**6),
        lambda: torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8),
        lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        lambda: torch.zeros(2, 3, dtype=rng.choice((torch.complex64, torch.bool, torch.int64, torch.uint8))),
        lambda: torch.zeros(2, dtype=torch.float8_e4m3fn),
        lambda: torch.nn.Parameter(torch.ones(2)),
        lambda: torch.zeros(0, 10**6),
        lambda: torch.tensor(1.0),
        lambda: torch.full((4,), float("nan")),
        lambda: torch.zeros(2, dtype=torch.complex64).conj(),
        lambda: torch.as_strided(torch.zeros(10), (3, 3), (1, 1)),
        lambda: torch.zeros(8, 8).t()[::2],
        lambda: torch.Size([1, 2]),
        lambda: torch.float32,
        lambda: torch.device("cuda"),
        lambda: torch.Generator().get_state(),
        lambda: rng.choice((None, 1, 1.5, "text", b"bytes", (1,), {1, 2}, [torch.zeros(1)], 10**500)),
    )
    return rng.choice(ways)()


def _content(rng: random.Random, canary: str) -> Any:
    """What a torch file holds: an adapter's weights with oddities in it or around it."""
    _, _, tensors, _ = rng.choice(_originals())
    content: Any = dict(tensors)
    for _ in range(rng.choice((0, 1, 1, 3))):
        key: Any = rng.choice([*content, *TEXTS[:12], 5, None, (1, 2), b"bytes", True])
        content[key] = _odd_tensor(rng)
    if rng.random() < 0.25:
        content[rng.choice(("extra", "args", next(iter(content))))] = rng.choice(
            (Harm(rng.randrange(9), canary), Stranger())
        )
    for _ in range(rng.choice((0, 0, 1, 2, 6))):
        name: Any = rng.choice(("state_dict", "adapter", "model", "module", "weights", "x", 5, None, ""))
        content = {name: content, **rng.choice(({}, {"epoch": 3}, {"optimizer": {"state": {0: torch.zeros(1)}}}))}
    if rng.random() < 0.1:
        content = rng.choice((OrderedDict(content), [content], (content,), torch.zeros(3), None, "text", 5, set(), {}))
    if rng.random() < 0.05 and isinstance(content, dict):
        content["state_dict"] = content  # a circle
    return content


def _saved(content: Any, archive: bool) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=archive)
    return file.getvalue()


def _repacked(rng: random.Random, data: bytes) -> bytes:
    """The archive with a part changed, added, removed, doubled or blown up."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        parts = [(part.filename, source.read(part)) for part in source.infolist()]
    packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    at = rng.randrange(len(parts))
    name, part = parts[at]
    match rng.randrange(8):
        case 0:
            parts[at] = (name, damaged(rng, part))
        case 1:
            del parts[at]
        case 2:
            pickles = [number for number, (one, _) in enumerate(parts) if one.endswith("data.pkl")]
            parts[pickles[0]] = (parts[pickles[0]][0], damaged(rng, parts[pickles[0]][1]))
        case 3:
            parts[at], packing = (name, bytes(rng.choice((10**6, 3 * 10**7)))), zipfile.ZIP_DEFLATED
        case 4:
            parts.append((rng.choice(("archive/data/99", "../../harmed", "/tmp/harmed", "a" * 3000, name)), b"x"))
        case 5:
            parts = [(f"other/{one.partition('/')[2]}", inner) for one, inner in parts]
        case 6:
            parts.append((f"{name.partition('/')[0]}/constants.pkl", b"\x80\x02)."))
        case _:
            parts = [(one, inner[: len(inner) // 2]) for one, inner in parts]
    with zipfile.ZipFile(result, "w", packing) as target:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about doubled names, which are meant
            for one, inner in parts:
                target.writestr(one, inner)
    return result.getvalue()


def _odd_torch(rng: random.Random, canary: str) -> bytes:
    def made(archive: bool | None = None) -> bytes:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about prototypes and old formats, which are meant
            for _ in range(9):
                with contextlib.suppress(Exception):  # not every oddity can be saved in every form
                    return _saved(_content(rng, canary), rng.random() < 0.6 if archive is None else archive)
        return b"\x80\x02}."

    return one_of(
        rng,
        (4, made),
        (2, lambda: damaged(rng, made())),
        (2, lambda: _repacked(rng, made(True))),
        (1, lambda: damaged(rng, _saved({"a": torch.zeros(2)}, False))),
        (1, lambda: pickle.dumps({"a": Harm(rng.randrange(9), canary), "b": [1] * 9}, rng.randrange(2, 6))),
        (
            0.5,
            lambda: (
                b"\x80\x02"
                + rng.choice((b"(" * 50_000, b"]" + b"]a" * 20_000, b"X\xff\xff\xff\x7f", b"\x8a\xff" + b"9" * 255))
                + b"."
            ),
        ),
        (0.3, lambda: made()[: rng.randrange(2, 400)]),
        (
            0.2,
            lambda: rng.choice(
                (b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(60), b"\x1f\x8b" + bytes(40), b"ustar")
            ),
        ),
    )


def _odd_folder(rng: random.Random, folder: Path) -> None:
    """A diffusers folder with a wrong config, or an index of shards that are not as it says."""
    data, header, tensors, config = rng.choice(_originals())
    if rng.random() < 0.7:  # without our own header, which would be believed first
        header = {name: entry for name, entry in header.items() if name != "__metadata__"}
    weights = _safetensors(json_text(header), data)
    name = rng.choice((f"{STEM}.safetensors", f"{STEM}.fp16.safetensors", "model.safetensors"))
    (folder / name).write_bytes(weights if rng.random() < 0.9 else damaged(rng, weights))
    absurd = {
        "in_channels": Raw(rng.choice(NUMBERS)),
        "channels": [Raw(rng.choice(NUMBERS)) for _ in range(rng.choice((1, 4, 4)))],
        "num_res_blocks": Raw(rng.choice(NUMBERS)), "downscale_factor": Raw(rng.choice(NUMBERS)),
        "adapter_type": rng.choice(("full_adapter", "full_adapter_xl", "light_adapter", odd_value(rng))),
        "_class_name": rng.choice(("T2IAdapter", "ArmatureAdapter", "MultiAdapter", odd_value(rng))),
    }  # fmt: skip
    some = {key: absurd[key] for key in rng.sample(list(absurd), rng.randrange(1, 3))}
    (folder / "config.json").write_bytes(odd_json(rng, config) if rng.random() < 0.5 else json_text({**config, **some}))
    if rng.random() < 0.25:
        (folder / name).unlink()
        halves = list(tensors)[::2], list(tensors)[1::2]
        table: dict[str, Any] = {}
        for number, names in enumerate(halves):
            table |= dict.fromkeys(names, f"part-{number}.safetensors")
            (folder / f"part-{number}.safetensors").write_bytes(weights)
        index = {"metadata": {"total_size": 5}, "weight_map": table}
        if rng.random() < 0.5:
            table[rng.choice(list(table))] = rng.choice((*TEXTS, "../secret/secret.txt", "config.json", "."))
        (folder / f"{STEM}.safetensors.index.json").write_bytes(
            odd_json(rng, index) if rng.random() < 0.5 else json_text(index)
        )
    if rng.random() < 0.1:
        with contextlib.suppress(OSError):
            os.mkfifo(folder / rng.choice(("config.json.tmp", f"{STEM}.bin", "pipe.pth")))


def _write(rng: random.Random, folder: Path) -> None:
    canary = str(folder.parent / CANARY)
    if rng.random() < 0.2:
        _odd_folder(rng, folder / "a" if (folder / "a").mkdir() is None else folder)
        return
    data = one_of(rng, (5, lambda: _odd_safetensors(rng)), (5, lambda: _odd_torch(rng, canary)))
    if rng.random() < 0.02:
        data = rng.choice((b"", b"x", b"version https://git-lfs", b"<html>", b"\x00" * 100, rng.randbytes(300)))
    name = rng.choice(("a", "sketch", "t2iadapter_openpose_sd14v1", "é", "x" * 200, "a\x1b[31m", "a\nb", "caf\udce9"))
    path = folder / f"{name}.{rng.choice(_ENDINGS)}"
    path.write_bytes(data)


def _use(folder: Path) -> None:
    [source] = (folder / INPUT).iterdir()
    if source.is_file():
        with contextlib.suppress(ArmatureError):
            tensor_names(source)
    json.dumps(inspect(source).to_dict())
    adapter = load_adapter(source)
    # What loads has to work, and to be written again.
    if adapter.takes == "condition map":
        with torch.no_grad():
            adapter(torch.rand(1, adapter.spec.picture_channels or 1, 64, 64).to(next(adapter.parameters()).dtype))
    load_adapter(save_adapter(adapter, folder / OUT / "again.safetensors", layout="original"))


def _warm() -> None:
    for _, header, tensors, _ in _originals():
        assert header
        detect({name: tuple(tensor.shape) for name, tensor in tensors.items()}, "it")  # torch imports more for it


KIND = Kind(share=6, write=_write, use=_use, warm=_warm)
