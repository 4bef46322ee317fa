"""A whole model in one .safetensors or .ckpt file, opened with configuration from this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from armature.bases.families import Family, family_of_file
from armature.bases.tensor_names import tensor_names
from armature.devices import precision_argument
from armature.errors import CheckpointError
from armature.files import local_path

SINGLE_FILE_ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")

_UNET, _VAE = "model.diffusion_model.", "first_stage_model."


def is_single_file(source: Any) -> bool:
    """Whether a source is written like a model in one file."""
    return isinstance(source, (str, Path)) and str(source).lower().endswith(SINGLE_FILE_ENDINGS)


def has_vae(names: list[str]) -> bool:
    """Whether a file with these tensors brings its own autoencoder."""
    return any(name.startswith(_VAE) for name in names)


def load_single_file(
    path: Path, config: str | Path | None, dtype: torch.dtype, parts: Mapping[str, Any] | None = None
) -> Any:
    """The family's pipeline from one file in the original layout, on the CPU.

    config: folder or hub id of a diffusers pipeline of the same family, for configuration and tokenizer; None lets
    diffusers recognise the model and look into the hub's cache, then on the hub. parts: components to be used
    instead of the file's own.
    Raises CheckpointError for a file that is missing, damaged, wants to run code, or is no whole model.
    """
    import diffusers

    names = tensor_names(path)
    family = family_in(path, names)
    options: dict[str, Any] = {**({} if config is None else _config(config)), **(parts or {})}
    if "vae" not in options and not has_vae(names):
        raise CheckpointError(f"{path} holds no VAE under {_VAE}*; give one with vae= (--vae).")
    kind = getattr(diffusers, family.pipelines["text"])
    try:
        pipeline = kind.from_single_file(str(path), **precision_argument(dtype), **options)
    except Exception as error:  # diffusers, transformers and the hub raise many kinds here
        if config is None and _is_unreachable(error):
            raise CheckpointError(
                f"{path} holds weights only; the configuration and tokenizer that belong to it are not in the hub's "
                "cache, and the hub cannot be reached. Go online once, or name a diffusers folder of the same family "
                "with --base-config."
            ) from error
        if "meta tensor" in str(error):
            # Networks are built empty and filled from the file: what it lacks stays empty, and cannot be copied.
            raise CheckpointError(
                f"{path} lacks weights of its U-Net, VAE or text encoder: the file is not whole. Download or save it "
                "again."
            ) from error
        reason = " ".join(str(error).split())[:300]
        advice = "" if config is None else f" Does {str(config)!r} describe the same family?"
        raise CheckpointError(f"{path} cannot be opened as a model: {reason}.{advice}") from error
    _check_whole(pipeline, path)
    return pipeline


def family_in(path: Path, names: list[str]) -> Family:
    """The family of a whole model in one file, by the names of its tensors; CheckpointError when it has no U-Net."""
    if not any(name.startswith(_UNET) for name in names):
        raise CheckpointError(
            f"{path} holds no U-Net under {_UNET}*; expected a whole Stable Diffusion model in one file. An adapter "
            "goes in with --adapter KIND=REF, a diffusers model as its folder."
        )
    return family_of_file(names)


def _check_whole(pipeline: Any, path: Path) -> None:
    """Raise CheckpointError when the file left weights of a network without content."""
    for part, module in pipeline.components.items():
        if not isinstance(module, nn.Module):
            continue
        if absent := [name for name, tensor in module.named_parameters() if tensor.is_meta]:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise CheckpointError(
                f"{path} lacks {absent[0]}{more} of its {part}: the file is not whole. Download or save it again."
            )


def _config(config: str | Path) -> dict[str, Any]:
    path = local_path(config, CheckpointError)
    if path.is_dir():
        if not (path / "model_index.json").is_file():
            raise CheckpointError(
                f"The configuration folder {str(config)!r} has no model_index.json; expected a diffusers pipeline "
                "folder (its weights may be absent)."
            )
        return {"config": str(path), "local_files_only": True}
    if str(config).count("/") != 1 or str(config).startswith((".", "/", "~")):
        raise CheckpointError(
            f"There is no configuration folder {str(config)!r}; expected a diffusers pipeline folder."
        )
    return {"config": str(config)}


def _is_unreachable(error: BaseException | None) -> bool:
    """Whether an error comes from the hub not answering, at the end of any chain."""
    while error is not None:
        if isinstance(error, ConnectionError) or type(error).__name__ in (
            "LocalEntryNotFoundError",
            "OfflineModeIsEnabled",
            "ConnectError",
            "ConnectTimeout",
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
