"""Find the weights inside whatever a training script wrapped them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from armature.errors import CheckpointError

# Wrappers seen in published files and in the checkpoints of common trainers, best first.
_WRAPPERS = ("state_dict", "adapter", "model_state_dict", "module", "model", "params_ema", "params", "weights")
# Prefixes that a wrapping module adds to every key: diffusers' class, DDP, torch.compile.
_PREFIXES = ("adapter.", "module.", "_orig_mod.")
_DEEPEST = 4


def unwrap(content: Any, where: str) -> dict[str, torch.Tensor]:
    """The mapping of names to tensors inside a loaded torch file.

    content: a bare mapping, {"state_dict": ...}, or any single wrapper, nested up to four times; side entries such as
    step counts are left behind. where: the file's name for the message.
    Raises CheckpointError when no such mapping is there or when several could be meant.
    """
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            raise CheckpointError(
                f"{where} holds a {type(content).__name__}; expected a mapping of names to tensors. "
                "Save the adapter's state_dict."
            )
        tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
        inner = {str(name): value for name, value in content.items() if isinstance(value, Mapping) and value}
        wrapper = next((name for name in _WRAPPERS if name in inner), None)
        if wrapper is not None:
            content = inner[wrapper]
        elif tensors:
            return tensors
        else:
            content = _choose(inner, where)
    raise CheckpointError(f"{where} nests its weights deeper than {_DEEPEST} levels; save the state_dict alone.")


def _choose(inner: dict[str, Any], where: str) -> Any:
    if len(inner) == 1:
        return next(iter(inner.values()))
    # Formats of two parts (IP-Adapter) are kept apart by their names, so that they can be recognised.
    if inner and all(_holds_tensors(value) for value in inner.values()):
        return {f"{name}.{key}": tensor for name, part in inner.items() for key, tensor in part.items()}
    names = ", ".join(inner) or "none"
    raise CheckpointError(
        f"{where} holds no weights (mappings inside: {names}); expected an adapter's state_dict, bare or under "
        '"state_dict".'
    )


def _holds_tensors(part: Any) -> bool:
    return all(isinstance(value, torch.Tensor) for value in part.values())


def common_prefix(names: Any) -> str:
    """The prefix that all names share, out of those that wrappers add; prefixes of prefixes included."""
    names, prefix = list(names), ""
    while names:
        added = next((p for p in _PREFIXES if all(name.startswith(prefix + p) for name in names)), None)
        if added is None:
            return prefix
        prefix += added
    return prefix
