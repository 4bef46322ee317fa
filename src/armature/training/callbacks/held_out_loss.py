"""The loss on samples that are not learned from, by noise level, with noise that never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from armature.adapters.base import Adapter
from armature.bases.schedule import noised, target
from armature.bases.unet import added_conditions, computing_in, predict
from armature.data.encoding.batch import EncodedBatch
from armature.data.loader.loader import Batches
from armature.errors import RecipeError
from armature.injection.hooks import injected
from armature.training.checkpoint.state import TrainerState
from armature.training.recipe.duration import Duration
from armature.training.trainer.callback import undisturbed

BUCKETS = 4


@dataclass(frozen=True)
class HeldOutLoss:
    """What of a base the held-out loss is computed with.

    unet: frozen; it carries hooks while the loss is computed, and no other injection may add to it then.
    alphas: (T,) float32, of the whole schedule. prediction: the base's, see `armature.bases.schedule`.
    buckets: how many equal parts the schedule is looked at in. arithmetic: what float32 weights compute in: the
    training's own, so that both losses are of one kind.
    """

    unet: Any
    alphas: Tensor
    prediction: str
    buckets: int = BUCKETS
    arithmetic: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if not 1 <= self.buckets <= len(self.alphas):
            raise RecipeError(f"{self.buckets} timestep buckets were asked for; expected 1 to {len(self.alphas)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The buckets by their timesteps, from up to but without: "t000-250"..."""
        return tuple(f"t{low:03d}-{high:03d}" for low, high in (self.bounds(k) for k in range(self.buckets)))

    def bounds(self, bucket: int) -> tuple[int, int]:
        """The timesteps of a bucket: the first, and the one after the last."""
        total = len(self.alphas)
        return bucket * total // self.buckets, (bucket + 1) * total // self.buckets

    @torch.no_grad()
    def measure(self, batches: Iterable[EncodedBatch], adapter: Adapter | None) -> BucketLosses:
        """The plain squared error of every sample in every bucket, averaged; None is the base without an adapter.

        Timestep, noise and latent of a sample in a bucket depend on its key alone: two calls differ by the adapter's
        weights and by nothing else, and random states are not touched.
        Raises RecipeError when there is no sample.
        """
        sums = [_Sum() for _ in range(self.buckets)]
        with injected(self.unet) as injection:
            for batch in batches:
                with computing_in(torch.device(self.unet.device), self.arithmetic):
                    features = None if adapter is None else adapter(batch.control.to(adapter.device, adapter.dtype))
                injection.set(features)
                for bucket, total in enumerate(sums):
                    total.add(self._errors(batch, bucket))
        if not sums[0].count:
            raise RecipeError("There is no held-out sample to measure on; give data.held_out.")
        return BucketLosses(tuple(total.mean for total in sums), sums[0].count)

    def _errors(self, batch: EncodedBatch, bucket: int) -> Tensor:
        """(n,) squared errors of a batch at one noise level each."""
        device = self.unet.device
        drawn = [_drawn(key, self.bounds(bucket), batch.mean.shape[1:]) for key in batch.keys]
        t = torch.tensor([step for step, _ in drawn], device=device)
        random = torch.stack([numbers for _, numbers in drawn]).to(device)
        latents = batch.mean.to(device).float() + batch.std.to(device).float() * random[:, 0]
        noise, at = random[:, 1], self.alphas.to(device)[t]
        pooled, time_ids = (None if part is None else part.to(device) for part in (batch.text.pooled, batch.time_ids))
        added = added_conditions(pooled, time_ids)
        noisy = noised(latents, noise, at)
        out = predict(self.unet, noisy, t, batch.text.states.to(device), added, self.arithmetic)
        error = out.float() - target(self.prediction, latents, noise, at)
        return error.square().flatten(1).mean(1)


@dataclass(frozen=True)
class BucketLosses:
    """Mean squared errors. buckets: from the lowest noise to the highest. count: samples."""

    buckets: tuple[float, ...]
    count: int

    @property
    def mean(self) -> float:
        """Over all buckets: what uniformly drawn timesteps would give."""
        return sum(self.buckets) / len(self.buckets)


@dataclass(eq=False)
class HeldOutLossCallback:
    """Figures "held_out/loss", "held_out/t000-250"... and "held_out/without", the loss of the base alone.

    The last one never changes: it is what the curve has to fall below. Plain errors, whatever weighting a training has.
    """

    every: Duration
    held_out: HeldOutLoss
    batches: Batches
    _without: BucketLosses | None = field(default=None, init=False)

    def on_due(self, state: TrainerState, adapter: Adapter) -> dict[str, float]:
        """Measure; see Callback."""
        with undisturbed(adapter, self.held_out.unet):
            if self._without is None:
                self._without = self.held_out.measure(self.batches.held_out(), None)
            now = self.held_out.measure(self.batches.held_out(), adapter)
        parts = {f"held_out/{name}": value for name, value in zip(self.held_out.names, now.buckets, strict=True)}
        return {"held_out/loss": now.mean, **parts, "held_out/without": self._without.mean}


@dataclass
class _Sum:
    # Added up in double precision on the CPU, so that the batches' sizes do not matter.
    total: float = field(default=0.0)
    count: int = 0

    def add(self, errors: Tensor) -> None:
        self.total += float(errors.double().sum())
        self.count += len(errors)

    @property
    def mean(self) -> float:
        return self.total / self.count


def _drawn(key: str, bounds: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, Tensor]:
    """A sample's timestep in a bucket, and (2, c, h, w) normal numbers for its latent and its noise."""
    digest = hashlib.blake2b(f"{key}/{bounds[0]}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
    step = int(torch.randint(*bounds, (), generator=generator))
    return step, torch.randn(2, *shape, generator=generator)
