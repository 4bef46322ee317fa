"""TensorBoard and Weights & Biases, for those who have them installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from armature.errors import RecipeError
from armature.training.logging.metrics import Board

Note = Callable[[str], None]
FOLDER = "tensorboard"


def open_boards(
    run: str | Path, *, tensorboard: bool, wandb: bool, settings: Mapping[str, Any], note: Note
) -> tuple[Board, ...]:
    """The boards that a recipe's `[watch]` table asks for.

    settings: the resolved recipe, JSON-ready. note: is told when TensorBoard, which is asked for unless a recipe says
    otherwise, is not installed. W&B goes to the network, so it is asked for by name: RecipeError when it is missing.
    """
    boards: list[Board] = []
    if tensorboard:
        try:
            boards.append(TensorBoard(run))
        except ImportError:
            note(
                "TensorBoard is not installed, so the figures go into metrics.jsonl alone: pip install tensorboard, "
                "or say watch.tensorboard = false."
            )
    if wandb:
        boards.append(WeightsAndBiases(run, settings))
    return tuple(boards)


class TensorBoard:
    """Event files in RUN/tensorboard. ImportError when the package is missing."""

    def __init__(self, run: str | Path) -> None:
        self._folder = str(Path(run) / FOLDER)
        self._writer: Any = import_module("torch.utils.tensorboard").SummaryWriter(self._folder)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Show the figures of a step."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def rewind(self, step: int) -> None:
        """Hide what was shown of later steps."""
        self._writer.close()
        self._writer = import_module("torch.utils.tensorboard").SummaryWriter(self._folder, purge_step=step + 1)

    def close(self) -> None:
        """Write everything out."""
        self._writer.close()


class WeightsAndBiases:
    """A run at wandb.ai, named after the run folder; a resumed training goes on with it.

    Raises RecipeError when the package is missing or refuses.
    """

    def __init__(self, run: str | Path, settings: Mapping[str, Any]) -> None:
        try:
            wandb = import_module("wandb")
        except ImportError as error:
            raise RecipeError(
                "watch.wandb is true and wandb is not installed: pip install wandb, or take it out of the recipe."
            ) from error
        folder = Path(run)
        try:
            self._run: Any = wandb.init(
                project="armature",
                name=folder.name,
                id=_identity(folder),
                resume="allow",
                dir=str(folder),
                config=dict(settings),
            )
        except Exception as error:  # wandb raises classes of its own for network, key and settings
            raise RecipeError(
                f"Weights & Biases cannot be used ({error}); log in, or say watch.wandb = false."
            ) from error
        # Its own step must rise with every call, and a resumed training writes some steps again.
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Show the figures of a step."""
        self._run.log({"step": step, **figures})

    def rewind(self, step: int) -> None:
        """W&B keeps what it was told; the steps are told again, and the later values win."""

    def close(self) -> None:
        """Write everything out."""
        self._run.finish()


def _identity(folder: Path) -> str:
    """Names this run folder, wherever the training is started from; made once and kept in it."""
    path = folder / "wandb-id"
    if not path.exists():
        from uuid import uuid4

        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(uuid4().hex[:12], encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()
