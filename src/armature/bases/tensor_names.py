"""The names of the tensors in a weight file, without its weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

from armature.errors import CheckpointError


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
