"""From any published file to an adapter, ready to use."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from armature.adapters.base import Adapter
from armature.adapters.registry import build_adapter
from armature.checkpoints.checkpoint import Checkpoint, read_checkpoint
from armature.checkpoints.diffusers_object import adapter_from_object
from armature.errors import CheckpointError


def load_adapter(
    source: str | Path | nn.Module,
    *,
    kind: str | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    in_channels: int | None = None,
    revision: str | None = None,
    subfolder: str | None = None,
    variant: str | None = None,
) -> Adapter:
    """Load an adapter from a file, a folder, the hub, or the embedded model's own.

    source: path of a .safetensors, .pth, .pt, .bin or .ckpt file or of a diffusers folder; hub id "owner/name", or
        "owner/name/path/file.pth" for one file of a repository; "embedded:sketch"; or diffusers' T2IAdapter or
        MultiAdapter itself, whose members then act together.
    kind: "sketch", "depth"...; left out, it comes from the file's metadata, else from its name, else it stays None.
    dtype: precision of the weights; left out, the file's own (the widest one, when it mixes several).
    device: where to put it; left out, the CPU.
    in_channels: channels of the condition map, only for a file whose keys fit two networks (the card's notes say so).
    revision, subfolder: on the hub. variant: "fp16" for the half-precision file beside the full one.

    Network, family, channels and widths come from the keys and shapes. No code in a file is ever run. The adapter is in
    evaluation mode; its card says what is known, its contract how the condition map must look.
    Raises CheckpointError for anything that is not one intact adapter; ConditionError for an unknown kind.

    Example:
        sketch = load_adapter("TencentARC/t2iadapter_sketch_sd15v2", dtype=torch.float16)
    """
    if isinstance(source, nn.Module):
        return adapter_from_object(source, kind=kind, dtype=dtype, device=device)
    checkpoint = read_checkpoint(
        source, kind=kind, in_channels=in_channels, revision=revision, subfolder=subfolder, variant=variant
    )
    return adapter_from(checkpoint, dtype=dtype, device=device)


def adapter_from(
    checkpoint: Checkpoint, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Adapter:
    """Build the adapter of a checkpoint that was read; raises CheckpointError when it holds NaN or infinity."""
    if broken := checkpoint.not_finite():
        raise CheckpointError(
            f"{checkpoint.card.source} holds NaN or infinite weights in {len(broken)} tensors ({broken[0]}...); "
            "expected finite numbers. Its training diverged or the file is damaged; use another checkpoint."
        )
    # Built without memory, then given the file's tensors: a file is never held twice.
    with torch.device("meta"):
        adapter = build_adapter(checkpoint.spec, checkpoint.card)
    wanted = dtype or checkpoint.dtypes[0]
    adapter.load_state_dict({name: t.to(device, wanted) for name, t in checkpoint.tensors.items()}, assign=True)
    return adapter.eval()
