"""What can be told of a base from headers and configuration alone, before gigabytes of weights are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from armature import hub
from armature.bases.card import EMBEDDED
from armature.bases.families import FAMILIES, Family
from armature.bases.single_file import family_in, has_vae, is_single_file
from armature.bases.tensor_names import tensor_names
from armature.bases.unet import family_of
from armature.embedded.paths import embedded_base_path
from armature.errors import CheckpointError
from armature.files import local_path
from armature.foreign import read_json


@dataclass(frozen=True, eq=False)
class Glance:
    """What is known of a base that is not open; all of it may be unknown.

    family: None where it cannot be told. unet: its U-Net without weights (torch's meta device), None likewise.
    has_vae: whether it brings an autoencoder, as far as can be seen. vae_config: that one's configuration.
    """

    family: Family | None = None
    unet: nn.Module | None = None
    has_vae: bool = True
    vae_config: Mapping[str, Any] | None = None


def glance_at(source: Any, config: str | Path | None = None) -> Glance:
    """Look at a base without reading its weights: a folder, a single file, the embedded one or a hub id.

    config: as for `open_base`. Of the hub only the U-Net's configuration is fetched. Whatever cannot be read is left
    unknown: opening the base will say why. Raises CheckpointError for a single file that is damaged or no model.
    """
    if is_single_file(source):
        path = local_path(source, CheckpointError)
        names = tensor_names(path)
        folder = None if config is None else local_path(config, CheckpointError)
        unet = _hollow_unet(_read(folder, "unet"))
        family = family_in(path, names)
        # A configuration of another family says nothing of this file; opening it will tell.
        fits = unet is not None and family_of(unet) is family
        return Glance(family, unet if fits else None, has_vae(names), _read(folder, "vae"))
    if source is None or source == EMBEDDED:
        source = embedded_base_path()
    if not isinstance(source, (str, Path)):
        return Glance()
    path = local_path(source, CheckpointError)
    unet = _hollow_unet(_read(path, "unet") if path.is_dir() else _from_hub(str(source)))
    vae_config = _read(path, "vae") if path.is_dir() else None
    has = vae_config is not None or not path.is_dir()
    return Glance(None if unet is None else family_of(unet), unet, has, vae_config)


def _read(folder: Path | None, part: str) -> dict[str, Any] | None:
    try:
        values = read_json((folder / part / "config.json").read_text(encoding="utf-8")) if folder else None
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _from_hub(name: str) -> dict[str, Any] | None:
    """The configuration of a U-Net on the hub, through its cache."""
    from diffusers import UNet2DConditionModel

    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        return None
    if hub.unreachable() and not hub.is_cached(name, "unet/config.json"):
        return None
    try:
        found: Any = UNet2DConditionModel.load_config(name, subfolder="unet", local_files_only=hub.unreachable())
    except Exception:  # whatever the hub says here, opening the base will meet it again and say it
        return None
    return found if isinstance(found, dict) else None


def _hollow_unet(config: Mapping[str, Any] | None) -> nn.Module | None:
    """The U-Net of a configuration without weights; None for one of no known family."""
    import diffusers

    kind = None if config is None else config.get("_class_name")
    if kind not in {family.unet.network for family in FAMILIES.values()}:
        return None
    try:
        with torch.device("meta"):
            unet = getattr(diffusers, str(kind)).from_config(config)
        family_of(unet)
    except CheckpointError:
        return None
    except Exception:  # a damaged configuration fails anywhere; opening the base will say how
        return None
    return unet
