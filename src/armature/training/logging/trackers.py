"""TensorBoard and Weights & Biases, through accelerate's trackers, for those who have them installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from accelerate import PartialState
from accelerate.tracking import GeneralTracker, TensorBoardTracker, WandBTracker

from armature.errors import RecipeError

T = TypeVar("T", bound=GeneralTracker)

FOLDER = "tensorboard"


class Trackers:
    """The trackers of one run, in the first process.

    settings: the resolved recipe, JSON-ready. Raises RecipeError when W&B, which goes to the network and so is asked
    for by name, is missing or refuses.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        tensorboard: bool = False,
        wandb: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._run = Path(run)
        self._tensorboard = _started(TensorBoardTracker(FOLDER, str(run))) if tensorboard else None
        self._wandb = _wandb(self._run, settings or {}) if wandb else None

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Show the figures of a step; all are finite."""
        if self._tensorboard is not None:
            self._tensorboard.log(dict(figures), step=step)
        if self._wandb is not None:
            # Its own step must rise with every call, and a resumed training writes some steps again.
            self._wandb.log({"step": step, **figures})

    def rewind(self, step: int) -> None:
        """Hide what TensorBoard shows of later steps. W&B is told them again, and the later values win."""
        if self._tensorboard is not None:
            self._tensorboard.finish()
            self._tensorboard = _started(TensorBoardTracker(FOLDER, str(self._run), purge_step=step + 1))

    def finish(self) -> None:
        """Write everything out."""
        for tracker in (self._tensorboard, self._wandb):
            if tracker is not None:
                tracker.finish()


def open_trackers(
    run: str | Path, *, tensorboard: bool, wandb: bool, settings: Mapping[str, Any], note: Callable[[str], None]
) -> Trackers:
    """The trackers that a recipe's `[logging]` table asks for; see Trackers.

    note: is told when TensorBoard, which is asked for unless a recipe says otherwise, is not installed.
    """
    if tensorboard and find_spec("tensorboard") is None:
        tensorboard = False
        note(
            "TensorBoard is not installed, so the figures go into metrics.jsonl alone: pip install tensorboard, or say "
            "logging.tensorboard = false."
        )
    return Trackers(run, tensorboard=tensorboard, wandb=wandb, settings=settings)


def _started(tracker: T) -> T:
    """Only the first process has trackers, so they need not find out which one that is."""
    PartialState()  # accelerate's loggers, which the trackers call, ask for it
    tracker.main_process_only = False
    tracker.start()
    return tracker


def _wandb(run: Path, settings: Mapping[str, Any]) -> GeneralTracker:
    """A W&B run named after the run folder; a resumed training goes on with it."""
    if find_spec("wandb") is None:
        raise RecipeError(
            "logging.wandb is true and wandb is not installed: pip install wandb, or take it out of the recipe."
        )
    options = {"name": run.name, "id": _identity(run), "resume": "allow", "dir": str(run), "config": dict(settings)}
    try:
        tracker = WandBTracker("armature", **options)
        _started(tracker).tracker.define_metric("*", step_metric="step")
    except Exception as error:  # wandb raises classes of its own for network, key and settings
        raise RecipeError(
            f"Weights & Biases cannot be used ({error}); log in, or say logging.wandb = false."
        ) from error
    return tracker


def _identity(run: Path) -> str:
    """Names this run folder, wherever the training is started from; made once and kept in it."""
    path = run / "wandb-id"
    if not path.exists():
        run.mkdir(parents=True, exist_ok=True)
        path.write_text(uuid4().hex[:12], encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()
