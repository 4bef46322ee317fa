"""Another autoencoder for a base: a folder, a hub id or a single file, and whether its latents are the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armature import hub
from armature.bases.families import Family
from armature.bases.tensor_names import tensor_names
from armature.checkpoints.weights import read_weights
from armature.errors import CheckpointError
from armature.files import local_path

# Classes whose latents a U-Net of Stable Diffusion can work on.
_CLASSES = ("AutoencoderKL", "AutoencoderTiny")


def load_vae(source: str | Path, family: Family, own: Mapping[str, Any] | None) -> Any:
    """An AutoencoderKL or AutoencoderTiny from a diffusers folder (or a pipeline's), a hub id or a file, on the CPU.

    family: of the base. own: configuration of the autoencoder that it replaces, which a single file takes over; None
    for a base without one. Raises CheckpointError for anything else, and for one with other latents.
    """
    path = local_path(source, CheckpointError)
    try:
        vae = _from_file(path, family, own) if path.is_file() else _from_folder(source)
    except CheckpointError:
        raise
    except Exception as error:  # diffusers and the hub raise many kinds here
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"The VAE {str(source)!r} cannot be opened: {reason}") from error
    _check(vae, str(source), family, own)
    return vae


def _from_folder(source: str | Path) -> Any:
    import diffusers

    path = local_path(source, CheckpointError)
    where: dict[str, Any] = {"subfolder": "vae"} if (path / "vae").is_dir() else {}
    name = str(path) if path.is_dir() else str(source)
    if not path.is_dir() and hub.unreachable():
        if not any(hub.is_cached(name, config) for config in ("config.json", "vae/config.json")):
            raise CheckpointError(
                f"The VAE {name!r} is no file or folder here and not in the hub's cache, and the hub cannot be "
                "reached, or offline mode is on. Go online once, or give a folder or file."
            )
        where["local_files_only"] = True
    try:
        config = diffusers.AutoencoderKL.load_config(name, **where)
    except OSError:
        if path.is_dir():
            raise
        # A repository of a whole pipeline keeps it one folder deeper.
        where["subfolder"] = "vae"
        config = diffusers.AutoencoderKL.load_config(name, **where)
    kind = config.get("_class_name") if isinstance(config, dict) else None
    if kind not in _CLASSES:
        raise CheckpointError(f"The VAE {str(source)!r} is a {kind}; expected {' or '.join(_CLASSES)}.")
    return getattr(diffusers, kind).from_pretrained(name, **where)


def _from_file(path: Path, family: Family, own: Mapping[str, Any] | None) -> Any:
    import diffusers

    tiny = any(name.startswith("decoder.layers.") for name in tensor_names(path))
    if tiny:
        return _tiny_from_file(path, own)
    with tempfile.TemporaryDirectory() as folder:
        config = dict(own) if own is not None and own["_class_name"] == "AutoencoderKL" else usual_config(family)
        (Path(folder) / "config.json").write_text(json.dumps(config))
        return diffusers.AutoencoderKL.from_single_file(str(path), config=folder, local_files_only=True)


def _tiny_from_file(path: Path, own: Mapping[str, Any] | None) -> Any:
    """A tiny autoencoder with its tensors under diffusers' names."""
    import diffusers

    tensors = read_weights(path).tensors
    config = dict(own) if own is not None and own["_class_name"] == "AutoencoderTiny" else {}
    latents = tensors["decoder.layers.0.weight"].shape[1]
    vae: Any = diffusers.AutoencoderTiny.from_config({**config, "latent_channels": latents})
    vae.load_state_dict(tensors)
    return vae.eval()


def usual_config(family: Family) -> dict[str, Any]:
    """The configuration of a family's published autoencoders."""
    return {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
        "norm_num_groups": 32,
        "sample_size": 8 * family.cells,
        "scaling_factor": family.latent_scale,
        "force_upcast": family.force_upcast,
    }


def config_of(vae: Any) -> dict[str, Any]:
    """The configuration of an autoencoder as plain values, its class among them."""
    plain = {name: value for name, value in vae.config.items() if not name.startswith("_")}
    return {**plain, "_class_name": type(vae).__name__}


def _check(vae: Any, source: str, family: Family, own: Mapping[str, Any] | None) -> None:
    """Raise CheckpointError when the U-Net would work on other latents than it has learned."""
    expected = usual_config(family) if own is None else own
    for name in ("latent_channels", "block_out_channels"):
        found, wanted = getattr(vae.config, name), expected[name]
        same = found == wanted if isinstance(found, int) else len(found) == len(wanted)
        if not same:
            raise CheckpointError(
                f"The VAE {source!r} has {name} {found}; this base takes latents made with {wanted}. Use a VAE of "
                "the same family."
            )
    # Tiny autoencoders are distilled to give latents that need no scaling: their factor says nothing of the family.
    kinds = {type(vae).__name__, expected["_class_name"]}
    if kinds == {"AutoencoderKL"} and abs(vae.config.scaling_factor / expected["scaling_factor"] - 1) > 0.01:
        raise CheckpointError(
            f"The VAE {source!r} scales its latents by {vae.config.scaling_factor:g}, and this {family.title} base "
            f"takes latents scaled by {expected['scaling_factor']:g}: it belongs to another family. Use a VAE of the "
            "same family."
        )
