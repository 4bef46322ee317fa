"""Everything random of a training step, each as a function of the recipe's seed and a sample's position alone.

No generator lives from one step to the next, so there is no random state to save: a resumed training, and one that is
spread over more processes, draw what the uninterrupted one in a single process draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from armature.bases.text import TextStates
from armature.bases.unet import added_conditions
from armature.data.encoding.batch import EncodedBatch
from armature.errors import RecipeError
from armature.training.recipe.model import TrainSettings

Distribution = Literal["cubic", "uniform", "logit-normal"]
Purpose = Literal["posterior", "noise", "noise offset", "timestep", "caption", "condition"]


@dataclass(frozen=True, eq=False)
class NoisedBatch:
    """What a step learns from, n samples, after everything random has happened to them; all on one device.

    latents: (n, c, h, w), scaled by the autoencoder's factor. text: (n, tokens, width) states of the captions.
    control: (n, channels, 8h, 8w) condition maps in the adapter's contract. added: SDXL's added_cond_kwargs, or None.
    timesteps: (n,) int64. noise: as latents. keys: names of the samples.
    """

    latents: Tensor
    text: Tensor
    control: Tensor
    timesteps: Tensor
    noise: Tensor
    added: dict[str, Any] | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepNoise:
    """What is drawn for each sample.

    seed, timesteps, timestep_range, noise_offset, caption_dropout, condition_dropout: as in the `[train]` table.
    low: the lowest value of the adapter's contract, which an empty condition is filled with.
    total: timesteps of the base's schedule.
    """

    seed: int
    timesteps: str
    timestep_range: tuple[int, int]
    noise_offset: float
    caption_dropout: float
    condition_dropout: float
    low: float = 0.0
    total: int = 1000

    @classmethod
    def of(cls, settings: TrainSettings, *, low: float = 0.0, total: int = 1000) -> StepNoise:
        """What a recipe asks for."""
        return cls(
            settings.seed,
            settings.timesteps,
            settings.timestep_range,
            settings.noise_offset,
            settings.caption_dropout,
            settings.condition_dropout,
            low,
            total,
        )

    def apply(self, encoded: EncodedBatch, empty: TextStates, device: torch.device | str = "cpu") -> NoisedBatch:
        """Draw latents, noise, timesteps and dropouts of a batch, in float32 (text keeps its precision).

        encoded: of any device, its positions on the CPU. empty: the states of the empty caption, n = 1. device: where
        the step runs; nothing waits for it. Every number depends on the seed and the sample's position, not on the
        batch it stands in.
        """
        device = torch.device(device)
        positions = encoded.positions.tolist()
        mean, std, control = (moved(part, device).float() for part in (encoded.mean, encoded.std, encoded.control))
        shape = tuple(mean.shape[1:])
        latents = torch.addcmul(mean, std, self.normal(positions, "posterior", shape, device))
        noise = self.normal(positions, "noise", shape, device)
        if self.noise_offset:
            noise = noise + self.noise_offset * self.normal(positions, "noise offset", (shape[0], 1, 1), device)
        states, pooled = self._text(encoded.text, empty, positions, device)
        unconditioned = self.chosen(positions, "condition", self.condition_dropout)
        control = _replaced(control, self.low, unconditioned)
        time_ids = None if encoded.time_ids is None else moved(encoded.time_ids, device)
        timesteps, added = moved(self.steps(positions), device), added_conditions(pooled, time_ids)
        return NoisedBatch(latents, states, control, timesteps, noise, added, tuple(encoded.keys))

    def normal(
        self, positions: Sequence[int], purpose: Purpose, shape: tuple[int, ...], device: torch.device | str = "cpu"
    ) -> Tensor:
        """(n, *shape) float32 standard normal numbers, those of each sample from its own generator."""
        device = torch.device(device)
        # Page-locked memory lets the copy to a GPU run beside the program.
        out = torch.empty(len(positions), *shape, pin_memory=device.type == "cuda")
        for row, position in zip(out, positions, strict=True):
            torch.randn(shape, generator=self.generator(position, purpose), out=row)
        return out.to(device, non_blocking=True)

    def steps(self, positions: Sequence[int]) -> Tensor:
        """(n,) int64 timesteps, on the CPU."""
        draw = (
            drawn_timesteps(self.timesteps, self.timestep_range, self.total, self.generator(position, "timestep"))
            for position in positions
        )
        return torch.cat(list(draw))

    def chosen(self, positions: Sequence[int], purpose: Purpose, share: float) -> list[bool]:
        """Which samples a share of 0..1 falls on."""
        if share <= 0:
            return [False] * len(positions)
        return [torch.rand((), generator=self.generator(p, purpose)).item() < share for p in positions]

    def generator(self, position: int, purpose: Purpose) -> torch.Generator:
        """The generator of one sample and purpose, at its start.

        Purposes do not share one, so that a setting of one leaves the others' numbers as they are.
        """
        # torch's CPU generator keeps 32 bits of its seed: two samples in four thousand million share their numbers.
        digest = hashlib.blake2b(f"{self.seed}/{position}/{purpose}".encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "little"))

    def _text(
        self, text: TextStates, empty: TextStates, positions: Sequence[int], device: torch.device
    ) -> tuple[Tensor, Tensor | None]:
        """States and pooled states; those of dropped captions are the empty caption's."""
        dropped = self.chosen(positions, "caption", self.caption_dropout)
        states = _replaced(moved(text.states, device), empty.states, dropped)
        if text.pooled is None or empty.pooled is None:
            return states, None
        return states, _replaced(moved(text.pooled, device), empty.pooled, dropped)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; a copy to a GPU is only started, never waited for."""
    if tensor.device.type == "cpu" and device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _replaced(tensor: Tensor, value: Tensor | float, rows: list[bool]) -> Tensor:
    """The tensor with `value` in the rows that are True."""
    if not any(rows):
        return tensor
    where = moved(torch.tensor(rows), tensor.device).view(-1, *(1,) * (tensor.ndim - 1))
    if isinstance(value, Tensor):
        value = moved(value, tensor.device).to(tensor.dtype)
    return torch.where(where, value, tensor)


def cubic_timesteps(
    count: int, total: int = 1000, generator: torch.Generator | None = None, *, low: int = 0, high: int | None = None
) -> Tensor:
    """Timesteps drawn more often early in sampling, where structure is decided: t = (1 - (u/T)^3) T, u ~ U(0, T).

    Returns (count,) int64 in 0..total-1 (t = T itself is clamped); P(t > T/2) = 0.79, mean 0.75 T. A range low..high-1
    is filled with the same curve, so that its upper half keeps the share of 0.79.
    Source: paper section 3.5. Raises RecipeError unless count and total are positive and the range lies within them.
    """
    low, high = _checked(count, total, low, high)
    u = torch.rand(count, generator=generator)
    return low + ((1 - u**3) * (high - low)).long().clamp(max=high - low - 1)


def uniform_timesteps(
    count: int, total: int = 1000, generator: torch.Generator | None = None, *, low: int = 0, high: int | None = None
) -> Tensor:
    """(count,) int64 drawn evenly from low..high-1; high is total unless given.

    Raises RecipeError for an empty or impossible range. The authors' advice for colour is low=500.
    """
    low, high = _checked(count, total, low, high)
    return torch.randint(low, high, (count,), generator=generator)


def logit_normal_timesteps(
    count: int, total: int = 1000, generator: torch.Generator | None = None, *, low: int = 0, high: int | None = None
) -> Tensor:
    """(count,) int64 in low..high-1, drawn most often in the middle: sigmoid(n) of the way, n ~ N(0, 1).

    Raises RecipeError for an empty or impossible range. Source: Esser et al. 2024, section 3.1, m = 0 and s = 1.
    """
    low, high = _checked(count, total, low, high)
    share = torch.sigmoid(torch.randn(count, generator=generator))
    return low + (share * (high - low)).long().clamp(max=high - low - 1)


_DRAW = {"cubic": cubic_timesteps, "uniform": uniform_timesteps, "logit-normal": logit_normal_timesteps}


def drawn_timesteps(
    distribution: str, thousandths: tuple[int, int], total: int, generator: torch.Generator, count: int = 1
) -> Tensor:
    """(count,) int64 as a recipe asks for them.

    thousandths: from, up to but without, in thousandths of a schedule of `total` timesteps.
    Raises RecipeError for an unknown distribution or a range that is empty in this schedule.
    """
    if distribution not in _DRAW:
        raise RecipeError(f"train.timesteps is {distribution!r}; expected one of {', '.join(get_args(Distribution))}.")
    low, high = (thousandth * total // 1000 for thousandth in thousandths)
    return _DRAW[distribution](count, total, generator, low=low, high=high)


def _checked(count: int, total: int, low: int, high: int | None) -> tuple[int, int]:
    if count < 1 or total < 1:
        raise RecipeError(f"{count} timesteps of {total} were asked for; both must be positive.")
    high = total if high is None else high
    if not 0 <= low < high <= total:
        raise RecipeError(f"Timesteps were asked for from {low} to {high}; expected 0 <= low < high <= {total}.")
    return low, high
