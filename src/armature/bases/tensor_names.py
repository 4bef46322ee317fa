"""The names of the tensors in a weight file, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from armature.checkpoints.weights import check_header, is_torch_file, read_torch
from armature.errors import CheckpointError


def tensor_names(path: Path) -> list[str]:
    """The names of the tensors in a weight file, read without its weights where the format allows.

    Raises CheckpointError for a missing or damaged file, and for a pickle that wants more than tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no file {str(path)!r}; check the spelling.")
    if not is_torch_file(path):
        return check_header(path)
    content = read_torch(path, "meta")
    inner = content.get("state_dict", content) if isinstance(content, Mapping) else {}
    return [name for name in inner if isinstance(name, str)] if isinstance(inner, Mapping) else []
