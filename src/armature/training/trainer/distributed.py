"""The processes that train together: who is who, and the few words they exchange on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from armature.devices import DeviceSpec
from armature.errors import ArmatureError

T = TypeVar("T")

# Others wait while the first process draws previews and measures.
_PATIENCE = timedelta(hours=6)
_WORLD_NAMES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


@dataclass(frozen=True, eq=False)
class Processes:
    """This process among all.

    rank: its number from 0. world: how many there are. device: where it computes.
    group: through which words on the CPU go, None when it is alone; GPUs are never waited for.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    group: Any = None

    @classmethod
    def join(cls, device: torch.device | str | None = None) -> Processes:
        """Meet the other processes of `accelerate launch` or torchrun, on one machine or many; alone without them.

        device: for a process that is alone, and "cpu" for all; else accelerate gives each process its GPU.
        Raises RecipeError for a device that this machine does not have. Call it once, and `leave` at the end.
        """
        place = DeviceSpec.choose(device)
        if max(int(os.environ.get(name) or 1) for name in _WORLD_NAMES) == 1:
            return cls(device=place.device)
        from accelerate import PartialState

        state = PartialState(cpu=place.device.type == "cpu", timeout=_PATIENCE)
        gloo = dist.get_backend() == "gloo"
        group = dist.group.WORLD if gloo else dist.new_group(backend="gloo", timeout=_PATIENCE)
        return cls(state.process_index, state.num_processes, torch.device(state.device or place.device), group)

    def leave(self) -> None:
        """Say goodbye to the others, at the end of the program."""
        if self.group is not None and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and logs."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until all are here."""
        if self.group is not None:
            dist.barrier(self.group)

    def most(self, *numbers: float) -> tuple[float, ...]:
        """The largest of each number over all processes, the same everywhere."""
        return self._reduced(numbers, dist.ReduceOp.MAX)

    def mean(self, *numbers: float) -> tuple[float, ...]:
        """The mean of each number over all processes, the same everywhere."""
        return tuple(total / self.world for total in self._reduced(numbers, dist.ReduceOp.SUM))

    def gathered(self, value: T) -> list[T]:
        """The value of every process, in the order of their ranks."""
        if self.group is None:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value, self.group)
        return values

    def in_first(self, work: Callable[[], T]) -> T:
        """Do something in the first process while the others wait; all get its result, or its failure as an error."""
        if self.group is None:
            return work()
        answer: list[Any] = [None, None]
        failure: Exception | None = None
        if self.first:
            try:
                answer[1] = work()
            except Exception as error:  # whatever it is, the others must not wait for ever
                failure, answer[0] = error, str(error) or type(error).__name__
        dist.broadcast_object_list(answer, 0, self.group)
        if failure is not None:
            raise failure
        if answer[0] is not None:
            raise ArmatureError(f"The first process failed: {answer[0]}")
        return answer[1]

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over all processes; its weights become those of the first one."""
        if self.group is None:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids, gradient_as_bucket_view=True)

    def _reduced(self, numbers: tuple[float, ...], how: Any) -> tuple[float, ...]:
        if self.group is None:
            return numbers
        words = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(words, how, self.group)
        return tuple(words.tolist())
