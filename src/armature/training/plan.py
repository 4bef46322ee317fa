"""What a training would do, found out without doing it or writing anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from armature.data.cache.cache import CacheFolders, Store, cache_folders
from armature.data.encoding.encoder import Encoder
from armature.data.loader.sampler import BucketBatchSampler, StepLayout
from armature.data.samples.dataset import Dataset
from armature.data.samples.sample import by_bucket
from armature.errors import RecipeError
from armature.files import local_path
from armature.training.checkpoint.run_folder import RunFolder
from armature.training.memory import MemoryEstimate, estimate_memory
from armature.training.prepare_data import open_data
from armature.training.recipe.model import Recipe
from armature.training.setup import Setup, set_up

CacheState = Literal["off", "whole", "pictures", "controls", "begun", "absent"]

_CACHE_WORDS: dict[CacheState, str] = {
    "off": "none: pictures are encoded while training, with the encoders on the device",
    "whole": "whole, nothing to prepare",
    "pictures": "pictures and captions are encoded, maps are to be made",
    "controls": "maps are there, pictures and captions are to be encoded",
    "begun": "begun, to be finished",
    "absent": "to be made",
}
# Half precision, as text states and the autoencoder's moments are stored.
_HALF = 2


@dataclass(frozen=True)
class TrainingPlan:
    """A training in figures; all values are JSON-ready.

    base, adapter: what they are, in words. data: the report on the samples, a line each. buckets: width, height and
    number of training samples. cache: what of it is whole. cache_folders: of its two
    stores. cache_bytes: of disk that these take in all, an upper bound. steps, images: None for
    a training measured in minutes. memory: bytes by purpose, memory_bytes: their sum with what cannot be counted;
    memory_there: of the GPU, None on a CPU. notes: what a person should look at.
    """

    run: str
    base: str
    adapter: str
    parameters: int
    data: tuple[str, ...]
    samples: int
    held_out: int
    bad: Mapping[str, str]
    buckets: tuple[tuple[int, int, int], ...]
    cache: CacheState
    cache_folders: tuple[str, ...]
    cache_bytes: int
    length: str
    samples_per_step: int
    steps_per_epoch: int
    steps: int | None
    images: int | None
    memory: Mapping[str, int]
    memory_bytes: int
    memory_there: int | None
    notes: tuple[str, ...]

    def in_words(self) -> list[tuple[str, str]]:
        """What a person reads, as names and values."""
        extent = f"{self.length}, {self.steps_per_epoch} steps an epoch, {self.samples_per_step} samples a step"
        if self.steps is not None:
            extent += f": {self.steps} steps, {self.images} images"
        cache = _CACHE_WORDS[self.cache]
        if self.cache_folders:
            cache += f" ({in_bytes(self.cache_bytes)} in {' and '.join(self.cache_folders)})"
        parts = ", ".join(f"{name} {in_bytes(count)}" for name, count in self.memory.items())
        there = "" if self.memory_there is None else f" of {in_bytes(self.memory_there)}"
        return [
            ("base", self.base),
            ("adapter", self.adapter),
            ("data", "\n".join(self.data)),
            ("cache", cache),
            ("training", extent),
            ("memory", f"about {in_bytes(self.memory_bytes)}{there}: {parts}"),
            ("results", self.run),
        ]


def plan_training(recipe: Recipe, *, device: torch.device | str | None = None) -> TrainingPlan:
    """Open base, adapter and data as a training would, look at some samples, and count; writes no file.

    The number of processes is that of the launcher, one without. Raises what a training would raise before its first
    step, but for what only writing shows.
    """
    setup = set_up(recipe, device=device)
    dataset = open_data(setup)
    report = dataset.check()
    layout = StepLayout(recipe.train.batch, recipe.train.accumulate, 0, int(os.environ.get("WORLD_SIZE", "1")))
    numbers = np.fromiter(dataset.training, np.int64, len(dataset.training))
    buckets = {size: numbers[places] for size, places in by_bucket(dataset, dataset.training).items()}
    sampler = BucketBatchSampler(buckets, layout, recipe.train.seed)
    steps = recipe.train.length.steps(sampler.steps_per_epoch)
    state, folders = _cache(setup, dataset)
    sizes = None if folders is None else cache_bytes(setup, dataset)
    memory = estimate_memory(setup)
    there = _device_memory(setup.device)
    notes = [
        *setup.notes,
        *sampler.notes,
        *_run_notes(recipe),
        *_disk_notes(recipe, sizes, state),
        *_memory_notes(memory, there),
    ]
    return TrainingPlan(
        run=recipe.run,
        base=f"{setup.base.name}, {setup.base.family.key}, {_name(setup.base.place.dtype)} on {setup.device}",
        adapter=_adapter_in_words(setup),
        parameters=sum(parameter.numel() for parameter in setup.adapter.parameters()),
        data=tuple(report.lines()),
        samples=len(dataset.training),
        held_out=len(dataset.held_out),
        bad={key: problem.reason for key, problem in report.bad},
        buckets=tuple((*size, count) for size, count in report.buckets),
        cache=state,
        cache_folders=() if folders is None else (str(folders.pictures), str(folders.controls)),
        cache_bytes=0 if sizes is None else sizes.pictures + sizes.controls,
        length=str(recipe.train.length),
        samples_per_step=layout.step,
        steps_per_epoch=sampler.steps_per_epoch,
        steps=steps,
        images=None if steps is None else steps * layout.step,
        memory={
            "base": memory.base,
            "adapter": memory.adapter,
            "optimizer": memory.optimizer,
            "activations": memory.activations,
        },
        memory_bytes=memory.total,
        memory_there=there,
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class CacheBytes:
    """Disk that the two stores of a cache take."""

    pictures: int
    controls: int


def cache_bytes(setup: Setup, dataset: Dataset) -> CacheBytes:
    """Disk that a whole cache takes at most: moments and text states, and controls, of every framing.

    Captions that are alike share their states, and maps of two values take an eighth; neither is known beforehand.
    """
    parts, recipe = setup.base.pipeline, setup.recipe
    tokens = parts.tokenizer.model_max_length
    text = tokens * parts.unet.config.cross_attention_dim * _HALF
    channels = 2 * parts.vae.config.latent_channels
    pictures = controls = 0
    for samples, variants in ((dataset.training, recipe.cache.variants), (dataset.held_out, 1)):
        for (width, height), places in by_bucket(dataset, samples).items():
            cells = (width // setup.base.stride) * (height // setup.base.stride)
            rows = len(places) * variants
            pictures += rows * (channels * cells * _HALF + text)
            controls += rows * setup.contract.channels * width * height
    return CacheBytes(pictures, controls)


def in_bytes(count: int) -> str:
    """640 KB, 1.2 GB: with decimal units, as disks have them."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def _cache(setup: Setup, dataset: Dataset) -> tuple[CacheState, CacheFolders | None]:
    settings = setup.recipe.cache
    if not settings.enabled:
        return "off", None
    folders = cache_folders(dataset, Encoder(setup.base), settings)
    pictures, controls = (Store.whole(folder) is not None for folder in (folders.pictures, folders.controls))
    if pictures and controls:
        return "whole", folders
    if pictures or controls:
        return "pictures" if pictures else "controls", folders
    return ("begun" if folders.pictures.is_dir() or folders.controls.is_dir() else "absent"), folders


def _adapter_in_words(setup: Setup) -> str:
    spec, contract = setup.adapter.spec, setup.contract
    millions = sum(parameter.numel() for parameter in setup.adapter.parameters()) / 1e6
    words = f" ({contract.description})" if contract.description else ""
    channels = "1 channel" if contract.channels == 1 else f"{contract.channels} channels"
    return f"{setup.recipe.adapter.kind}, {spec.network}, {millions:.3g} M weights, {channels}{words}"


def _run_notes(recipe: Recipe) -> list[str]:
    saved = RunFolder(local_path(recipe.run, RecipeError)).store().all()
    if not saved:
        return []
    return [f"{recipe.run} holds checkpoints up to {saved[-1].name}: continue them with --resume, or use another run."]


def _disk_notes(recipe: Recipe, sizes: CacheBytes | None, state: CacheState) -> list[str]:
    if sizes is None:
        return []
    size = (state != "pictures") * sizes.pictures + (state != "controls") * sizes.controls
    place = local_path(recipe.cache.folder, RecipeError).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if state == "whole" or free > size:
        return []
    return [
        f"The cache may take {in_bytes(size)} more, and {place} has {in_bytes(free)} free; choose another "
        "cache.folder, fewer cache.variants, or cache.enabled=false."
    ]


def _memory_notes(memory: MemoryEstimate, there: int | None) -> list[str]:
    if there is None or memory.total < there:
        return []
    return [
        f"The training may take {in_bytes(memory.total)}, and the GPU has {in_bytes(there)}; halve train.batch and "
        "double train.accumulate, or set train.checkpoint_gradients=true."
    ]


def _device_memory(device: torch.device) -> int | None:
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
