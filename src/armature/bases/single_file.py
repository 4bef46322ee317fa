"""Whole models and autoencoders in one .safetensors or .ckpt file, opened with configuration from this machine."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch

from armature.devices import precision_argument
from armature.errors import CheckpointError

SINGLE_FILE_ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")

_UNET = "model.diffusion_model."
_XL_TEXT = "conditioner.embedders.1."


def load_single_file(path: Path, config: str | Path | None, dtype: torch.dtype) -> Any:
    """A StableDiffusionPipeline or StableDiffusionXLPipeline from one file in the original layout, on the CPU.

    config: folder or hub id of a diffusers pipeline of the same family, for configuration and tokenizer; None lets
    diffusers recognise the model and look into the hub's cache, then on the hub.
    Raises CheckpointError for a file that is missing, damaged, wants to run code, or is no whole model.
    """
    import diffusers

    names = tensor_names(path)
    if not any(name.startswith(_UNET) for name in names):
        raise CheckpointError(
            f"{path} holds no U-Net under {_UNET}*; expected a whole Stable Diffusion model in one file. An adapter "
            "goes in with --adapter KIND=REF, a diffusers model as its folder."
        )
    xl = any(name.startswith(_XL_TEXT) for name in names)
    kind = diffusers.StableDiffusionXLPipeline if xl else diffusers.StableDiffusionPipeline
    options: dict[str, Any] = {} if config is None else _config(config)
    try:
        return kind.from_single_file(str(path), **precision_argument(dtype), **options)
    except Exception as error:  # diffusers, transformers and the hub raise many kinds here
        if config is None and _is_unreachable(error):
            raise CheckpointError(
                f"{path} holds weights only; the configuration and tokenizer that belong to it are not in the hub's "
                "cache, and the hub cannot be reached. Go online once, or name a diffusers folder of the same family "
                "with --base-config."
            ) from error
        reason = " ".join(str(error).split())[:300]
        advice = "" if config is None else f" Does {str(config)!r} describe the same family?"
        raise CheckpointError(f"{path} cannot be opened as a model: {reason}.{advice}") from error


def load_vae(source: str | Path, own: Any) -> Any:
    """An AutoencoderKL from a diffusers folder (or a pipeline's), a hub id or a single file, on the CPU.

    own: the autoencoder that it replaces; a single file takes its configuration.
    Raises CheckpointError for anything else, and for one with other latents.
    """
    from diffusers import AutoencoderKL

    path = Path(source).expanduser()
    try:
        if path.is_file():
            tensor_names(path)
            with tempfile.TemporaryDirectory() as folder:
                own.save_config(folder)
                vae = AutoencoderKL.from_single_file(str(path), config=folder, local_files_only=True)
        else:
            inside = (path / "vae").is_dir()
            vae = AutoencoderKL.from_pretrained(str(path) if path.is_dir() else str(source), subfolder="vae" * inside)
    except CheckpointError:
        raise
    except Exception as error:  # as above
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"The VAE {str(source)!r} cannot be opened: {reason}") from error
    for name in ("latent_channels", "block_out_channels"):
        found, wanted = getattr(vae.config, name), getattr(own.config, name)
        same = found == wanted if isinstance(found, int) else len(found) == len(wanted)
        if not same:
            raise CheckpointError(
                f"The VAE {str(source)!r} has {name} {found}; this base takes latents made with {wanted}. Use a VAE of "
                "the same family."
            )
    return vae


def tensor_names(path: Path) -> list[str]:
    """The names of the tensors in a weight file, read without its weights where the format allows.

    Raises CheckpointError for a missing or damaged file, and for a pickle that wants more than tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no file {str(path)!r}; check the spelling.")
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                return list(file.keys())
        content = torch.load(path, map_location="meta", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is a pickle that wants more than tensors, or is damaged; nothing in it was run. Get it as "
            ".safetensors, or save its state_dict alone."
        ) from error
    except Exception as error:  # safetensors and torch's zip reader each have their own kinds
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"{path} is damaged ({reason}); download or save it again.") from error
    inner = content.get("state_dict", content) if isinstance(content, dict) else {}
    return [str(name) for name in inner]


def _config(config: str | Path) -> dict[str, Any]:
    path = Path(config).expanduser()
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
