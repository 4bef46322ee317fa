"""What the scripts that build the embedded model share: the scene store, timed schedules, atomic checkpoints, EMA."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

# Seeds below this belong to training; evaluation draws from HELD_OUT upwards and never meets them.
HELD_OUT = 10_000_000
MAPS = {"picture": 3, "sketch": 1, "canny": 1, "classes": 1, "colours": 1, "depth": 1}


@dataclass(frozen=True)
class Store:
    """Scenes on disk as memory-mapped arrays (count, 128, 128[, 3]) uint8, with captions and joints beside them."""

    folder: Path
    count: int

    def array(self, name: str) -> np.ndarray:
        """The memory-mapped array of one map (a key of MAPS)."""
        shape = (self.count, 128, 128, 3) if MAPS[name] == 3 else (self.count, 128, 128)
        return np.memmap(self.folder / f"{name}.u8", np.uint8, "r", shape=shape)

    @property
    def captions(self) -> list[str]:
        """One caption a scene."""
        return json.loads((self.folder / "captions.json").read_text())[: self.count]

    @property
    def joints(self) -> dict[int, list[list[list[float]]]]:
        """Scene number -> people -> 18 (x, y) pairs; scenes without people are absent."""
        return {int(k): v for k, v in json.loads((self.folder / "joints.json").read_text()).items()}


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def join() -> int:
    """Join the other processes of a torchrun, if there are any; this process's rank, 0 when alone."""
    if "WORLD_SIZE" not in os.environ:
        return 0
    dist.init_process_group("gloo")
    return dist.get_rank()


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wait() -> None:
    """Wait for the other processes, if there are any."""
    if dist.is_initialized():
        dist.barrier()


def agree(parameters: list[nn.Parameter], clock: float) -> float:
    """Average gradients, and the clock that schedules follow, over all processes; returns the common clock."""
    if not dist.is_initialized():
        return clock
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([clock])])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat[:-1].split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
    return float(flat[-1])


class Ema:
    """Exponential moving average of parameters, with a warm-up so that early steps do not linger."""

    def __init__(self, modules: dict[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.live = [p for m in modules.values() for p in m.parameters()]
        self.shadow = [p.detach().clone() for p in self.live]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present parameters."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self.live], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange live parameters and average; call again to go back."""
        for live, shadow in zip(self.live, self.shadow, strict=True):
            kept = live.detach().clone()
            live.copy_(shadow)
            shadow.copy_(kept)


@dataclass
class Run:
    """A training that lasts a given number of minutes of its own time and can be stopped and taken up again.

    modules: what is trained, by name. minutes: its whole length over all sittings. batch(step): data of a step.
    loss(data): a scalar. Learning rate: linear warm-up, then cosine over the run's own clock down to 2 % of the peak.
    """

    folder: Path
    modules: dict[str, nn.Module]
    minutes: float
    rate: float
    loss: Callable[[Any], torch.Tensor]
    batches: Iterator[Any]
    decay: float = 0.999
    weight_decay: float = 0.01
    warmup: int = 200
    flat: float = 0.0
    preview: Callable[[], None] | None = None
    preview_minutes: float = 10.0
    log: list[dict[str, float]] = field(default_factory=list)
    progress: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)

    def train(self) -> None:
        """Train until the minutes are used up; resumes from folder/state.pt when it is there."""
        parameters = [p for m in self.modules.values() for p in m.parameters() if p.requires_grad]
        decayed = [p for p in parameters if p.ndim > 1]
        plain = [p for p in parameters if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=self.rate, betas=(0.9, 0.99), fused=True)
        ema = Ema(self.modules, self.decay)
        step, spent = self._resume(optimizer, ema)
        if dist.is_initialized():
            for parameter in parameters:
                dist.broadcast(parameter.data, 0)
        chief = not dist.is_initialized() or dist.get_rank() == 0
        self.ema = ema
        stopping = []
        signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
        running, last_save, last_preview = 0.0, spent, spent
        mark, mark_step = time.monotonic(), step
        tick = time.monotonic()
        # The clock is the same in every process, so that all take the same steps and none waits for one that has left.
        clock = spent
        while clock < self.minutes and not stopping:
            progress = clock / self.minutes
            falling = max(0.0, (progress - self.flat) / (1 - self.flat))
            rate = (
                self.rate * min(1.0, (step + 1) / self.warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * falling)))
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            self.progress = progress
            loss = self.loss(next(self.batches))
            loss.backward()
            clock = spent = agree(parameters, spent)
            norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            value = loss.item()
            if not math.isfinite(value):
                raise SystemExit(f"loss {value} at step {step}: stopped; the last good state is in {self.folder}")
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            ema.update()
            step += 1
            running = value if step == 1 else 0.98 * running + 0.02 * value
            now = time.monotonic()
            spent += (now - tick) / 60
            tick = now
            if step % 100 == 0 and chief:
                speed = (step - mark_step) / (now - mark)
                mark, mark_step = now, step
                entry = {
                    "step": step,
                    "minutes": round(spent, 2),
                    "loss": round(running, 5),
                    "norm": round(float(norm), 3),
                }
                self._report(entry | {"steps_per_s": round(speed, 3)})
            if chief and (spent - last_save > 3 or stopping):
                last_save = spent
                self._save(optimizer, ema, step, spent)
            if chief and self.preview and (spent - last_preview > self.preview_minutes or clock >= self.minutes):
                last_preview = spent
                ema.swap()
                self.preview()
                ema.swap()
                tick = time.monotonic()
        if chief:
            self._save(optimizer, ema, step, spent)

    def note(self, terms: dict[str, float]) -> None:
        """Keep running means of the parts of the loss for the log."""
        for name, value in terms.items():
            self.terms[name] = 0.98 * self.terms.get(name, value) + 0.02 * value

    def _report(self, entry: dict[str, float]) -> None:
        entry |= {name: round(value, 4) for name, value in self.terms.items()}
        self.log.append(entry)
        print(json.dumps(entry), flush=True)

    def _save(self, optimizer: torch.optim.Optimizer, ema: Ema, step: int, spent: float) -> None:
        state = {name: module.state_dict() for name, module in self.modules.items()}
        extra = {"optimizer": optimizer.state_dict(), "ema": ema.shadow, "ema_steps": ema.steps}
        save(self.folder / "state.pt", {"modules": state, "step": step, "minutes": spent, "log": self.log, **extra})

    def _resume(self, optimizer: torch.optim.Optimizer, ema: Ema) -> tuple[int, float]:
        path = self.folder / "state.pt"
        if not path.exists():
            return 0, 0.0
        state = torch.load(path, weights_only=True)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        optimizer.load_state_dict(state["optimizer"])
        ema.shadow = state["ema"]
        ema.steps = state["ema_steps"]
        self.log = state["log"]
        print(json.dumps({"resumed": state["step"], "minutes": state["minutes"]}), flush=True)
        return state["step"], state["minutes"]


def averaged(folder: Path, modules: dict[str, nn.Module]) -> dict[str, Any]:
    """Load a run's averaged weights into the modules and return what else its state holds."""
    state = torch.load(folder / "state.pt", weights_only=True)
    for name, module in modules.items():
        module.load_state_dict(state["modules"][name])
    live = [p for m in modules.values() for p in m.parameters()]
    with torch.no_grad():
        for parameter, shadow in zip(live, state["ema"], strict=True):
            parameter.copy_(shadow)
    return state
