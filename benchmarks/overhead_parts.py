"""Models of real and of small size with random weights, and a stopwatch that watches memory: for attach_overhead.py."""

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
from PIL import Image, ImageDraw

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.registry import build_adapter
from armature.conditions.kinds import contract_for

SD_UNET: dict[str, Any] = {"cross_attention_dim": 768, "attention_head_dim": 8}
XL_UNET: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
TINY: dict[str, Any] = {"norm_num_groups": 8, "layers_per_block": 1}


def build_models(family: str, tiny: bool) -> tuple[dict[str, Any], Adapter]:
    """The parts of a pipeline with a random U-Net, and a random adapter that fits it."""
    options, widths = (SD_UNET, (320, 640, 1280, 1280)) if family == "sd" else (XL_UNET, (320, 640, 1280, 1280))
    if tiny:
        widths = (16, 16, 32, 32) if family == "sd" else (16, 32, 32, 32)
        options = {**options, **TINY, "block_out_channels": widths if family == "sd" else widths[:3]}
        options["attention_head_dim"] = 2
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(**options).eval().requires_grad_(False)
    # Only tells the pipeline that a latent cell is 8 pixels; nothing is decoded.
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
    )
    scheduler = diffusers.DDIMScheduler(steps_offset=1, clip_sample=False)
    parts = {"vae": vae, "text_encoder": None, "tokenizer": None, "unet": unet, "scheduler": scheduler}
    if family == "sdxl":
        parts |= {"text_encoder_2": None, "tokenizer_2": None}
    else:
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    spec = FullSpec(1, widths) if family == "sd" else FullXLSpec(1, widths)
    card = AdapterCard(kind="sketch", family="sd" if family == "sd" else "sdxl", contract=contract_for("sketch"))
    return parts, build_adapter(spec, card).eval().requires_grad_(False)


def drawing(size: int) -> Image.Image:
    """A control of pure black and white."""
    image = Image.new("L", (size, size), 0)
    ImageDraw.Draw(image).rectangle((size // 5, size // 4, size // 2, 4 * size // 5), outline=255, width=size // 64 + 1)
    return image


def text(unet: diffusers.UNet2DConditionModel, family: str, like: torch.Tensor) -> dict[str, torch.Tensor]:
    """Random prompt states in place of a text encoder."""
    width: Any = unet.config["cross_attention_dim"]
    rows = {"prompt_embeds": torch.randn(1, 77, width), "negative_prompt_embeds": torch.randn(1, 77, width)}
    if family == "sdxl":
        pooled = XL_UNET["projection_class_embeddings_input_dim"] - 6 * XL_UNET["addition_time_embed_dim"]
        rows |= {
            "pooled_prompt_embeds": torch.randn(1, pooled),
            "negative_pooled_prompt_embeds": torch.randn(1, pooled),
        }
    return {name: value.to(like) for name, value in rows.items()}


class PeakMemory:
    """Most memory in use inside the block, above what was in use before it, in bytes."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.peak, self._done = device, 0, threading.Event()

    def __enter__(self) -> "PeakMemory":
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            # Resident memory, looked at every few milliseconds: the CPU allocator keeps no books.
            self._before = self._resident()
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated() - self._before
        else:
            self._done.set()
            self._watcher.join()

    @staticmethod
    def _resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.peak = max(self.peak, self._resident() - self._before)


def timed(call: Callable[[], Any], device: torch.device) -> tuple[float, int]:
    """Seconds and peak bytes of one call."""
    with PeakMemory(device) as memory:
        _wait(device)
        start = time.perf_counter()
        call()
        _wait(device)
        seconds = time.perf_counter() - start
    return seconds, memory.peak


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
