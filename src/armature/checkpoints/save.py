"""Write an adapter: as a diffusers folder, or in the authors' layout. Every file appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.spec import AdapterSpec
from armature.checkpoints.config import diffusers_config, diffusers_obstacle, own_config
from armature.checkpoints.keymap import to_diffusers
from armature.checkpoints.metadata import write_header
from armature.checkpoints.sources import STEM
from armature.errors import CheckpointError
from armature.files import replacing

WEIGHTS_NAME = f"{STEM}.safetensors"
CONFIG_NAME = "config.json"


def save_adapter(adapter: Adapter, folder: str | Path) -> Path:
    """Write an adapter as the diffusers folder that diffusers, InvokeAI, ComfyUI and the A1111 extension load.

    The weights keep their precision; kind, family, contract and the card's metadata travel in the header. A network
    that diffusers cannot build (width/8, skep shortcuts...) gets a config of our own class and the authors' key names.
    An earlier adapter in the folder is replaced. Returns the folder. Raises CheckpointError when it cannot be written.
    """
    return write_folder(adapter.state_dict(), adapter.spec, adapter.card, folder)


def save_original(adapter: Adapter, file: str | Path) -> Path:
    """Write an adapter as one .safetensors file with the authors' key names, which A1111 and ComfyUI read.

    Metadata as in save_adapter; an earlier file is replaced. Returns the path. Raises CheckpointError when the name
    does not end in .safetensors or the file cannot be written.
    """
    return write_original(adapter.state_dict(), adapter.spec, adapter.card, file)


def write_folder(tensors: Mapping[str, torch.Tensor], spec: AdapterSpec, card: AdapterCard, folder: str | Path) -> Path:
    """save_adapter for tensors under our names."""
    folder = Path(folder)
    if diffusers_obstacle(spec) is None:
        names, config = to_diffusers(list(tensors), spec), diffusers_config(spec)
        tensors = {names[name]: tensor for name, tensor in tensors.items()}
    else:
        config = own_config(spec)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be made: {error.strerror}; choose another folder.") from error
    _write_weights(folder / WEIGHTS_NAME, tensors, write_header(spec, card))
    with _replacing(folder / CONFIG_NAME) as temporary:
        temporary.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return folder


def write_original(tensors: Mapping[str, torch.Tensor], spec: AdapterSpec, card: AdapterCard, file: str | Path) -> Path:
    """save_original for tensors under our names."""
    file = Path(file)
    if file.suffix != ".safetensors" or file.is_dir():
        raise CheckpointError(f"{file} is no name for an original file; expected one that ends in .safetensors.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{file.parent} cannot be made: {error.strerror}; choose another folder.") from error
    _write_weights(file, tensors, write_header(spec, card))
    return file


def _write_weights(path: Path, tensors: Mapping[str, torch.Tensor], header: dict[str, str]) -> None:
    with _replacing(path) as temporary:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, temporary, header)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """`replacing`, with an error of ours."""
    try:
        with replacing(path) as temporary:
            yield temporary
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be written ({error}); nothing was changed there.") from error
