"""A whole model from a diffusers folder or the hub, in full precision or as its half-precision variant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from armature import hub
from armature.bases.single_file import SINGLE_FILE_ENDINGS
from armature.devices import precision_argument
from armature.errors import CheckpointError
from armature.files import local_path

_WEIGHTS = (".safetensors", ".bin")
_HALF = "fp16"


def load_pretrained(source: str, dtype: torch.dtype, parts: Mapping[str, Any] | None = None) -> Any:
    """A pipeline from a diffusers folder or the hub, on the CPU.

    dtype: of its weights. A folder that holds the fp16 variant alone opens as such; of a repository on the hub that
    variant is fetched where half precision is asked for, and the plain weights else, each where the other is absent.
    parts: components to be used instead of the model's own.
    Raises CheckpointError for what is no model, or a damaged one.
    """
    from diffusers import DiffusionPipeline

    path = _checked(source)
    if path is not None and "vae" not in (parts or {}) and not (path / "vae" / "config.json").is_file():
        raise CheckpointError(
            f"The base {source!r} lacks its vae; download the whole model, or give one (vae=, --vae)."
        )
    name = source if path is None else str(path)
    # Of a hub that does not answer only the cache is asked: the libraries would try it for a minute.
    cached = path is None and hub.unreachable()
    if cached and not hub.is_cached(name, "model_index.json"):
        raise _cut_off(source, "model_index.json is not there")
    where = {"local_files_only": True} if cached else {}
    first_error: Exception | None = None
    for variant in _variants(path, dtype):
        named = {} if variant is None else {"variant": variant}
        try:
            return DiffusionPipeline.from_pretrained(
                name, **precision_argument(dtype), **where, **named, **(parts or {})
            )
        except Exception as error:  # the hub, the disk and a dozen classes raise many kinds here
            # Of two tries, what the plain weights lack says more than that there is no variant.
            if first_error is None or variant is None:
                first_error = error
    if cached:
        raise _cut_off(source, _first_line(first_error)) from first_error
    raise CheckpointError(f"The base {source!r} cannot be opened: {_first_line(first_error)}") from first_error


def _cut_off(source: str, reason: str) -> CheckpointError:
    return CheckpointError(
        f"The base {source!r} is not, or only in part, in the hub's cache ({reason}), and the hub cannot be reached, "
        "or offline mode is on. Go online once, or give a folder or file."
    )


def _checked(source: str) -> Path | None:
    """The folder of a source, None for a hub id."""
    path = local_path(source, CheckpointError)
    if path.is_file():
        raise CheckpointError(f"{source!r} is no model file; expected {' or '.join(SINGLE_FILE_ENDINGS)}, or a folder.")
    if path.is_dir() and not (path / "model_index.json").is_file():
        raise CheckpointError(
            f"{source!r} is a folder without model_index.json; expected a diffusers pipeline folder, a single "
            "file or a hub id. An adapter goes in with --adapter KIND=REF."
        )
    if not path.is_dir() and (source.count("/") != 1 or source.startswith((".", "/", "~"))):
        raise CheckpointError(
            f"There is no base model {source!r}; expected a diffusers folder, a .safetensors or .ckpt file, a hub id "
            "owner/name, or 'embedded'. Check the spelling."
        )
    return path if path.is_dir() else None


def _variants(path: Path | None, dtype: torch.dtype) -> tuple[str | None, ...]:
    """The variants to try, in this order."""
    if path is not None:
        return (_HALF,) if any(_half_only(folder) for folder in path.iterdir() if folder.is_dir()) else (None,)
    return (None, _HALF) if dtype == torch.float32 else (_HALF, None)


def _half_only(folder: Path) -> bool:
    """Whether all weights of a component are of the half-precision variant."""
    names = [file.name for file in folder.iterdir() if file.suffix in _WEIGHTS]
    return bool(names) and all(f".{_HALF}." in name or f".{_HALF}-" in name for name in names)


def _first_line(error: Exception | None) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 300 else f"{text[:297]}..."
