"""Write an adapter: as a diffusers folder, or in the authors' layout. Every file appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from armature.adapters.readers import Layout, reader_table
from armature.errors import CheckpointError
from armature.files import replacing

if TYPE_CHECKING:
    from armature.adapters.base import Adapter, AdapterCard

STEM = "diffusion_pytorch_model"
WEIGHTS_NAME = f"{STEM}.safetensors"
CONFIG_NAME = "config.json"
DIFFUSERS_CLASS = "T2IAdapter"
# For the networks that diffusers cannot build: our own class name, the whole spec, and the authors' key names.
OWN_CLASS = "ArmatureAdapter"
HEADER_FORMAT = "1"
HEADER_PREFIX = "armature."


def save_adapter(
    adapter: Adapter,
    path: str | Path,
    *,
    layout: Layout = "diffusers",
    tensors: Mapping[str, torch.Tensor] | None = None,
    card: AdapterCard | None = None,
) -> Path:
    """Write an adapter's files.

    layout: "diffusers" for the folder that diffusers, InvokeAI, ComfyUI and the A1111 extension load; "original" for
        one .safetensors file with the authors' key names, which the last two read. What diffusers cannot build
        (width/8, skep shortcuts, style...) gets a config of our own class in the folder, and the authors' key names.
        `type(adapter).readers(adapter.spec)` says who reads what; so does the file's header.
    path: of the folder or the file; an earlier adapter there is replaced.
    tensors, card: to be written instead of the adapter's own, under the adapter's names.
    The weights keep their precision; kind, family, contract and the card's metadata travel in the header.
    Returns the path. Raises CheckpointError when a file's name does not end in .safetensors and when it cannot be
    written.

    Example:
        save_adapter(load_adapter("t2iadapter_sketch_sd15v2.pth"), "sketch")
    """
    if adapter.save_obstacle is not None:
        raise CheckpointError(f"This adapter cannot be saved: {adapter.save_obstacle}.")
    tensors = adapter.state_dict() if tensors is None else tensors
    card = adapter.card if card is None else card
    path = Path(path)
    if layout == "original":
        _check_name(path)
        _make(path.parent)
        _write_weights(path, tensors, _header(adapter, card, "original"))
        return path
    network, spec = type(adapter), adapter.spec
    if network.diffusers_obstacle(spec) is None:
        names = network.diffusers_names(list(tensors), spec)
        tensors = {names[name]: tensor for name, tensor in tensors.items()}
        config, header = {"_class_name": DIFFUSERS_CLASS, **network.to_diffusers(spec)}, "diffusers"
    else:
        config, header = {"_class_name": OWN_CLASS, "spec": spec.to_dict()}, "original"
    _make(path)
    _write_weights(path / WEIGHTS_NAME, tensors, _header(adapter, card, header))
    with _replacing(path / CONFIG_NAME) as temporary:
        temporary.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def _header(adapter: Adapter, card: AdapterCard, layout: Layout) -> dict[str, str]:
    """The header of an adapter's file: kind, base family, structure, input contract, readers, and the card's metadata.

    The keys are armature.format, .kind, .family, .spec, .contract, .readers and .metadata; the values are JSON.
    "format" is what Hugging Face's readers look for.
    """
    entries: dict[str, Any] = {
        "format": HEADER_FORMAT,
        "kind": card.kind,
        "family": card.family,
        "spec": adapter.spec.to_dict(),
        "contract": None if card.contract is None else asdict(card.contract),
        "readers": reader_table(type(adapter).readers(adapter.spec), layout),
        "metadata": dict(card.metadata),
    }
    try:
        return {
            "format": "pt",
            **{HEADER_PREFIX + name: json.dumps(value, sort_keys=True) for name, value in entries.items()},
        }
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"The adapter's metadata cannot be written ({error}); expected text, numbers, lists and mappings of them."
        ) from error


def _check_name(file: Path) -> None:
    if file.suffix != ".safetensors" or file.is_dir():
        raise CheckpointError(f"{file} is no name for an original file; expected one that ends in .safetensors.")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be made: {error.strerror}; choose another folder.") from error


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
