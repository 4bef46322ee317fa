"""One training of a part of the embedded model: resumable, as long as a number of pictures, on a CPU or a GPU."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from muon import Muon, groups
from torch import nn

from armature.files import replacing
from armature.training.trainer.optim import Ema, learning_rate


def arguments(parser: ArgumentParser, pictures: int, batch: int) -> Namespace:
    """Parse what every training takes: its length in pictures, the batch, the device, and when to pause.

    A GPU takes four times the batch and twice the rate, so that its steps are worth their overhead.
    """
    parser.add_argument("--pictures", type=int, default=pictures, help="length of the whole training")
    parser.add_argument("--batch", type=int, help=f"pictures a step; {batch} on a CPU, {4 * batch} on a GPU")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; on cuda in bfloat16")
    parser.add_argument("--pause-after", type=float, default=math.inf, metavar="MINUTES", help="save and stop then")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    given.batch = given.batch or (batch if given.device == "cpu" else 4 * batch)
    given.rate_factor = max(1.0, (given.batch / batch) ** 0.5)
    torch.set_num_threads(given.threads)
    return given


def precision(device: str) -> AbstractContextManager[Any]:
    """bfloat16 autocast on a GPU; plain float32 on a CPU."""
    return nullcontext() if device == "cpu" else torch.autocast(torch.device(device).type, torch.bfloat16)


def join() -> int:
    """Join the other processes of a torchrun, if there are any; this process's rank, 0 when alone."""
    if "WORLD_SIZE" not in os.environ:
        return 0
    dist.init_process_group("gloo")
    return dist.get_rank()


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def averaged_over_processes(parameters: list[nn.Parameter], pausing: bool) -> bool:
    """Average gradients over all processes; returns whether any of them wants to pause."""
    if not dist.is_initialized():
        return pausing
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([float(pausing)])])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat[:-1].split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
    return bool(flat[-1] > 0)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that a reader sees the old one or the new one, never half of it."""
    with replacing(path) as temporary:
        torch.save(state, temporary)


@dataclass
class Run:
    """A training of so many pictures that can be stopped, killed and taken up again.

    folder: holds state.pt. modules: what is trained, by name. pictures: its whole length. batch: pictures a step of
    this process. loss: a scalar of the next data. Rate: linear warm-up, then cosine down to 2 % of the peak, after
    `flat` (a share of the length) at the peak. pause_after: minutes of this call after which it saves and ends.
    """

    folder: Path
    modules: dict[str, nn.Module]
    pictures: int
    batch: int
    rate: float
    loss: Callable[[Any], torch.Tensor]
    batches: Iterator[Any] | None = None
    decay: float = 0.999
    weight_decay: float = 0.01
    warmup: int = 200
    flat: float = 0.0
    pause_after: float = math.inf
    preview: Callable[[], dict[str, float]] | None = None
    preview_minutes: float = 10.0
    log: list[dict[str, float]] = field(default_factory=list)
    progress: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)
    step: int = 0
    seen: int = 0
    minutes: float = 0.0

    def __post_init__(self) -> None:
        self.parameters = [p for m in self.modules.values() for p in m.parameters() if p.requires_grad]
        self.optimizer = Muon(groups(self.modules.values(), self.weight_decay), self.rate)
        self.ema = Ema([p for m in self.modules.values() for p in m.parameters()], self.decay)

    @property
    def finished(self) -> bool:
        """Whether all pictures were seen."""
        return self.seen >= self.pictures

    def train(self) -> None:
        """Train until the length is reached or it is time to pause; resumes from folder/state.pt when it is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        if dist.is_initialized():
            for parameter in self.parameters:
                dist.broadcast(parameter.data, 0)
        chief = not dist.is_initialized() or dist.get_rank() == 0
        told: list[bool] = []
        signal.signal(signal.SIGTERM, lambda *_: told.append(True))
        began = tick = time.monotonic()
        last_save = last_preview = self.minutes
        mark, mark_step, running, pausing = tick, self.step, math.nan, False
        while not self.finished and not pausing:
            value, norm, pausing = self._advance(bool(told) or (time.monotonic() - began) / 60 > self.pause_after)
            running = value if math.isnan(running) else 0.98 * running + 0.02 * value
            now = time.monotonic()
            self.minutes += (now - tick) / 60
            tick = now
            if not chief:
                continue
            if self.step % 100 == 0:
                speed = (self.step - mark_step) * self.batch * world() / (now - mark)
                mark, mark_step = now, self.step
                self._report({"loss": round(running, 5), "norm": round(norm, 3), "pictures_per_s": round(speed, 2)})
            if self.minutes - last_save > 3 or pausing or self.finished:
                last_save = self.minutes
                self._save()
            if self.preview and (self.minutes - last_preview > self.preview_minutes or self.finished):
                last_preview = self.minutes
                with self.ema.swapped():
                    self._report(self.preview())
                tick = time.monotonic()

    def note(self, terms: dict[str, float]) -> None:
        """Keep running means of the parts of the loss for the log."""
        for name, value in terms.items():
            self.terms[name] = 0.98 * self.terms.get(name, value) + 0.02 * value

    def _advance(self, pausing: bool) -> tuple[float, float, bool]:
        """One optimizer step: its loss, the gradient's norm, and whether some process wants to pause."""
        self.progress = min(1.0, self.seen / self.pictures)
        falling = max(0.0, (self.progress - self.flat) / (1 - self.flat))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.rate, "cosine", self.warmup, self.step, falling)
        assert self.batches is not None, "a run needs its batches before it trains"
        loss = self.loss(next(self.batches))
        loss.backward()
        pausing = averaged_over_processes(self.parameters, pausing)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        value = loss.item()
        if not math.isfinite(value):
            raise SystemExit(f"loss {value} at step {self.step}: stopped; the last good state is in {self.folder}")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.seen += self.batch * world()
        self.ema.update(self.step)
        return value, float(norm), pausing

    def _report(self, entry: dict[str, float]) -> None:
        entry = {"step": self.step, "pictures": self.seen, "minutes": round(self.minutes, 2), **entry}
        entry |= {name: round(value, 4) for name, value in self.terms.items()}
        self.log.append(entry)
        print(json.dumps(entry), flush=True)

    def _save(self) -> None:
        progress = {"step": self.step, "seen": self.seen, "minutes": self.minutes, "log": self.log}
        modules = {name: module.state_dict() for name, module in self.modules.items()}
        state = {"modules": modules, "optimizer": self.optimizer.state_dict(), "ema": self.ema.average, **progress}
        save(self.folder / "state.pt", state)

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True, map_location=self.parameters[0].device)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema.load(state["ema"])
        self.step, self.seen, self.minutes, self.log = (state[key] for key in ("step", "seen", "minutes", "log"))
        print(json.dumps({"resumed": self.step, "pictures": self.seen, "minutes": self.minutes}), flush=True)


def averaged(folder: Path, modules: dict[str, nn.Module]) -> dict[str, Any]:
    """Load a run's averaged weights into the modules and return what else its state holds."""
    state = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
    for name, module in modules.items():
        module.load_state_dict(state["modules"][name])
    with torch.no_grad():
        live = [p for m in modules.values() for p in m.parameters()]
        for parameter, average in zip(live, state["ema"], strict=True):
            parameter.copy_(average)
    return state
