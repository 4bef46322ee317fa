"""Read the tensors of one weight file: .safetensors or torch's own formats, told apart by content. Never runs code."""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open

from armature.checkpoints.containers import unwrap
from armature.errors import CheckpointError
from armature.foreign import read_json
from armature.quiet import without_warnings

Format = Literal["safetensors", "torch"]

# The format's own limit; a longer header is an attack or not a header at all.
_LONGEST_HEADER = 100_000_000
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
# Headers and alignment make a torch archive larger than its parts, never smaller.
_LARGEST_GROWTH, _SMALL = 2, 1_000_000
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class WeightFile:
    """The content of a weight file.

    tensors: by their names in the file, container and wrappers removed.
    metadata: the text that a safetensors header carries; empty for torch files.
    """

    path: Path
    format: Format
    tensors: dict[str, torch.Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_weights(path: Path) -> WeightFile:
    """Read a .safetensors, .pth, .pt, .bin or .ckpt file on the CPU.

    Raises CheckpointError for an empty, truncated or foreign file, for a pickle that needs code or unpacks to far more
    than it holds, and for tensors that are not plain ones. Their types are for `check_types`, once it is known what
    the file is.
    """
    form: Format = "torch" if is_torch_file(path) else "safetensors"
    metadata: dict[str, str] = {}
    if form == "torch":
        tensors = unwrap(read_torch(path), str(path))
    else:
        tensors, metadata = _read_safetensors(path)
    for name, tensor in tensors.items():
        if oddity := _oddity(tensor):
            raise CheckpointError(f"{path} holds {name} as {oddity}; expected plain tensors. Save the state_dict anew.")
    return WeightFile(path, form, tensors, metadata)


def is_torch_file(path: Path) -> bool:
    """Whether a weight file is one of torch's own, by its content; else it is to be a safetensors file.

    Raises CheckpointError for an unreadable or empty file, and for a well-known stand-in for weights.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror}. Check the path and its permissions."
        ) from error
    if not head:
        raise CheckpointError(f"{path} is empty; expected weights. Download or save it again.")
    if complaint := _not_weights(head):
        raise CheckpointError(f"{path} is {complaint}.")
    return head.startswith((_ZIP, _PICKLE)) and not _is_safetensors(head)


def check_types(tensors: Mapping[str, torch.Tensor], where: str) -> None:
    """Raise CheckpointError for weights in a type that a network cannot compute with."""
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES:
            raise CheckpointError(
                f"{where} holds {name} as {str(tensor.dtype).removeprefix('torch.')}; expected float16, bfloat16, "
                "float32 or float64. Use the file that it was quantised from."
            )


def _oddity(tensor: torch.Tensor) -> str | None:
    """What a tensor is that is not simply numbers in memory, as many as its shape says."""
    if tensor.is_nested:
        return "a nested tensor"
    if tensor.layout != torch.strided:
        return f"a sparse tensor ({str(tensor.layout).removeprefix('torch.')})"
    if tensor.device.type != "cpu":
        return f"a tensor without data ({tensor.device.type})"
    if tensor.is_quantized:
        return "a quantised tensor"
    # A view that repeats its few numbers would take its whole size at the first copy.
    if tensor.numel() * tensor.itemsize > max(tensor.untyped_storage().nbytes(), 1):
        return f"a view of {list(tensor.shape)} over {tensor.untyped_storage().nbytes()} bytes"
    return None


def _not_weights(head: bytes) -> str | None:
    """What a file is when it is a well-known stand-in for weights."""
    start = head.lstrip()[:64].lower()
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the weights it points to; expected the file itself. Fetch it with `git lfs pull`"
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page; expected weights. Download the file itself, not the page about it"
    return None


def _is_safetensors(head: bytes) -> bool:
    """A header length whose first byte is 0x80 looks like a pickle; the brace after it tells."""
    return head[8:9] == b"{"


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    check_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = dict(file.metadata() or {})
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (not a mapping)
    except Exception as error:  # types that torch lacks, and sizes that it cannot have, fail in its own ways
        raise CheckpointError(
            f"{path} is a damaged safetensors file ({error}); expected intact weights. Download or save it again."
        ) from error


def check_header(path: Path) -> list[str]:
    """The names of the tensors in a safetensors file, from its header alone, before anything is allocated.

    Raises CheckpointError, in words, when the parts that the format defines are not as they must be.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if len(prefix) < 8 or (length > size - 8 and length <= _LONGEST_HEADER):
            raise CheckpointError(
                f"{path} is truncated: {size} bytes, its header alone needs {length + 8}; expected a whole safetensors "
                "file. Download or save it again."
            )
        if length > _LONGEST_HEADER:
            raise CheckpointError(
                f"{path} announces a header of {length} bytes; a safetensors header has at most {_LONGEST_HEADER}. "
                "It is not a weight file, or was made to do harm; use another file."
            )
        try:
            header: Any = read_json(file.read(length))
            entries = {name: value for name, value in header.items() if name != "__metadata__"}
            end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise CheckpointError(
                f"{path} has no readable safetensors header; expected .safetensors, .pth, .pt or .bin weights."
            ) from error
    if not entries:
        raise CheckpointError(f"{path} holds no tensors; expected the weights of an adapter.")
    if 8 + length + end > size:
        raise CheckpointError(
            f"{path} is truncated: {size} bytes of {8 + length + end}; expected a whole safetensors file. "
            "Download or save it again."
        )
    return list(entries)


def read_torch(path: Path, device: str = "cpu") -> Any:
    """The content of a file that torch.save wrote, whatever it is; "meta" as device leaves the numbers on disk.

    Raises CheckpointError for a damaged file, and one that needs code or unpacks to far more than it holds.
    """
    _check_unpacked(path)
    try:
        # Given a path, torch would choose the format by its ending.
        with path.open("rb") as file, without_warnings():  # about forms of tensors that are refused anyway
            return torch.load(file, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        if "nsupported" not in str(error):
            raise _damaged(path, error) from error
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        raise CheckpointError(
            f"{path} is a pickle that wants to run code or build other objects than tensors"
            f"{f' ({culprit[1]})' if culprit else ''}; expected weights only, and nothing was run. "
            "Get it as .safetensors, or save its state_dict alone."
        ) from error
    except Exception as error:  # a damaged zip or pickle can fail anywhere in torch's reader
        raise _damaged(path, error) from error


def _check_unpacked(path: Path) -> None:
    """torch stores its parts as they are; a file whose parts unpack to far more was made to fill the memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # the older format, which is no archive; a damaged one is told by torch's reader
    size = path.stat().st_size
    if unpacked > _LARGEST_GROWTH * size + _SMALL:
        raise CheckpointError(
            f"{path} has {size} bytes and unpacks to {unpacked}; expected weights as torch saves them, which do not "
            "grow. It was made to do harm, or packed by another program; save it again with torch.save."
        )


def _damaged(path: Path, error: Exception) -> CheckpointError:
    # Only the first words: what follows in torch's message is advice to trust the file.
    reason = str(error).partition("\n")[0].split(". ")[0][:160] or type(error).__name__
    return CheckpointError(
        f"{path} is a damaged torch file ({reason}); expected intact weights. Download or save it again."
    )
