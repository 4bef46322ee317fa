"""A recipe's data, opened and encoded: what `prepare` does alone and `train` does first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from armature.data.cache.build import prepare
from armature.data.cache.cache import Cache
from armature.data.encoding.encoder import Encoder
from armature.data.samples.dataset import Dataset, open_dataset
from armature.errors import RecipeError
from armature.training.logging.display import Display, open_display
from armature.training.recipe.model import Recipe
from armature.training.setup import Setup, set_up
from armature.training.trainer.distributed import Processes


@dataclass(frozen=True)
class Prepared:
    """What lies in a cache. first: whether this is the process that speaks for all.

    cache: the folders of its stores. samples: usable ones, held_out: those of them kept apart. bad: key and reason of
    the others.
    """

    first: bool
    cache: tuple[str, str]
    samples: int
    held_out: int
    bad: Mapping[str, str]


def prepare_data(recipe: Recipe, *, device: torch.device | str | None = None, progress: bool = True) -> Prepared:
    """Encode all samples of a recipe into its cache, or find it there; the processes of a launcher share the work.

    Raises what `train` raises before its first step, and RecipeError when the recipe wants no cache.
    """
    if not recipe.cache.enabled:
        raise RecipeError("cache.enabled is false, so there is nothing to prepare; set it to true, or train at once.")
    processes = Processes.join(device)
    try:
        setup = set_up(recipe, device=processes.device)
        dataset = open_data(setup)
        with open_display(shown=progress and processes.first) as display:
            cache = fill_cache(setup, dataset, Encoder(setup.base, display.note), processes, display)
        held_out, folders = _count(cache.held_out()), cache.folders
        return Prepared(
            processes.first,
            (str(folders.pictures), str(folders.controls)),
            _count(cache.training()) + held_out,
            held_out,
            bad_of(dataset, cache),
        )
    finally:
        processes.leave()


def open_data(setup: Setup) -> Dataset:
    """The recipe's samples, framed for the setup's base and adapter. Raises DatasetError and RecipeError."""
    recipe = setup.recipe
    return open_dataset(
        recipe.data,
        kind=recipe.adapter.kind,
        contract=setup.contract,
        family=setup.base.family,
        stride=setup.stride,
        seed=recipe.train.seed,
    )


def fill_cache(setup: Setup, dataset: Dataset, encoder: Encoder, processes: Processes, display: Display) -> Cache:
    """The cache of the recipe's data; bad samples are told when it is whole. See `prepare`."""
    cache = prepare(
        dataset,
        encoder,
        setup.recipe.cache,
        progress=display.preparing,
        workers=setup.recipe.train.workers,
        rank=processes.rank,
        world=processes.world,
        barrier=processes.barrier,
    )
    if bad := bad_of(dataset, cache):
        names = [f"{key}: {reason}" for key, reason in list(bad.items())[:3]]
        more = f" And {len(bad) - len(names)} more." if len(bad) > len(names) else ""
        display.note(f"{len(bad)} samples cannot be used and are left out. {' '.join(names)}{more}")
    return cache


def bad_of(dataset: Dataset, cache: Cache | None) -> dict[str, str]:
    """Samples that cannot be used, with the reason: seen while looking through the data, or while encoding it."""
    bad = {key: problem.reason for key, problem in dataset.bad.by_key.items()}
    for failure in () if cache is None else cache.failed:
        bad.setdefault(failure.key, failure.problem.reason)
    return bad


def _count(buckets: Mapping[tuple[int, int], object]) -> int:
    return sum(len(numbers) for numbers in buckets.values())  # type: ignore[arg-type]
