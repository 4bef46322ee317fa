"""What each of two processes does in test_distributed.py: two_processes.py FOLDER, started as torchrun does."""

import json
import os
import signal
import sys
from pathlib import Path

from small_training import PositionBatches, newest, settings, train_small

from armature.errors import ArmatureError
from armature.training.recipe.duration import Duration
from armature.training.trainer.distributed import Processes


class Refuser:
    every = Duration(2, "steps")

    def on_due(self, state, adapter):
        if state.step:
            raise OSError("the preview fell over")
        return {}


def attempt(processes, run, train, poison=None, **options):
    """Train; the error's text, or None."""
    batches = PositionBatches(train, processes.rank, processes.world, poison=poison)
    try:
        train_small(run, train, batches, keep=9, processes=processes, **options)
    except (ArmatureError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def main():
    folder = Path(sys.argv[1])
    processes = Processes.join("cpu")
    told = {"rank": processes.rank, "world": processes.world}

    def stop(progress_of_first=None):
        if seen["count"] == 3 and processes.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        seen["count"] += 1

    seen = {"count": 0}
    four = settings(length="4 steps", batch=2)
    told["plain"] = attempt(processes, folder / "plain", four)
    told["micro"] = attempt(processes, folder / "micro", settings(length="4 steps", batch=1, accumulate=2))
    # The second process alone gets the signal, as its fourth sample is made: both are to stop, at the same step.
    batches = PositionBatches(four, processes.rank, processes.world, before=lambda position: stop())
    try:
        train_small(folder / "stopped", four, batches, save="9 steps", processes=processes)
    except ArmatureError as error:
        told["stopped"] = f"{type(error).__name__}: {error}"
    told["resumed"] = attempt(processes, folder / "stopped", four, resume=True)
    # Position 7 is in the second step, and in the second process's half of it.
    told["poisoned"] = attempt(processes, folder / "poisoned", four, poison=7)
    told["refused"] = attempt(processes, folder / "refused", four, callbacks=[Refuser()])
    told["timed"] = attempt(processes, folder / "timed", settings(length="0.01 minutes"))
    told["timed step"] = newest(folder / "timed").state.step
    told["gathered"] = processes.gathered(processes.rank)
    told["mean"] = processes.mean(float(processes.rank))
    processes.barrier()
    (folder / f"told-{processes.rank}.json").write_text(json.dumps(told))
    processes.leave()


if __name__ == "__main__":
    main()
