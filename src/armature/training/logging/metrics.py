"""The log of a training: one JSON object a line, and whoever else is to be told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from armature.errors import RecipeError
from armature.files import replacing
from armature.training.checkpoint.state import TrainerState
from armature.training.logging.trackers import Trackers

NAME = "metrics.jsonl"


class Metrics(Protocol):
    """Where figures are written down; used in the first process only."""

    def write(self, state: TrainerState, figures: Mapping[str, float]) -> None:
        """Figures by slash-separated names, such as "train/loss"."""
        ...

    def rewind(self, step: int) -> None:
        """Forget everything about steps after `step`; called once, before the first write."""
        ...


class MetricsLog:
    """RUN/metrics.jsonl, where every line has step, minutes, images, and figures by name.

    Lines are flushed one by one; what a kill left of the last one is dropped at the next opening. A figure that is not
    finite becomes null. trackers: told the same, finite figures only.
    Raises RecipeError when the file cannot be opened or read.
    """

    def __init__(self, run: str | Path, trackers: Trackers | None = None) -> None:
        self.path = Path(run) / NAME
        self._trackers = trackers
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and not _whole(self.path):
                _rewrite(self.path, _lines(self.path))
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise RecipeError(f"{self.path} cannot be opened ({error}); choose another run folder.") from error

    def write(self, state: TrainerState, figures: Mapping[str, float]) -> None:
        """Add a line. Raises RecipeError when the disk is full."""
        line: dict[str, Any] = {"step": state.step, "minutes": round(state.minutes, 3), "images": state.images}
        line |= {name: value if math.isfinite(value) else None for name, value in figures.items()}
        try:
            self._file.write(json.dumps(line, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise RecipeError(
                f"{self.path} cannot be written ({error}); make room, then go on with --resume."
            ) from error
        if self._trackers is not None:
            self._trackers.log(state.step, {name: value for name, value in figures.items() if math.isfinite(value)})

    def rewind(self, step: int) -> None:
        """Drop the lines of later steps: a training resumed at `step` will write them anew. All of them, or none."""
        self._file.close()
        _rewrite(self.path, [line for line in _lines(self.path) if line["step"] <= step])
        self._file = self.path.open("a", encoding="utf-8")
        if self._trackers is not None:
            self._trackers.rewind(step)

    def close(self) -> None:
        """Close the file and the trackers."""
        self._file.close()
        if self._trackers is not None:
            self._trackers.finish()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_metrics(run: str | Path) -> list[dict[str, Any]]:
    """The lines of a run's log, in order; none when it has no log yet. A damaged line ends what can be read."""
    path = Path(run) / NAME
    return _lines(path) if path.exists() else []


def series(lines: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    """(step, value) of one figure; of a step that was written twice, the later line."""
    values = {line["step"]: float(line[name]) for line in lines if line.get(name) is not None}
    return sorted(values.items())


def _lines(path: Path) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            break
        if not isinstance(line, dict) or not isinstance(line.get("step"), int):
            break
        lines.append(line)
    return lines


def _whole(path: Path) -> bool:
    text = path.read_bytes()
    return not text or (text.endswith(b"\n") and len(_lines(path)) == text.count(b"\n"))


def _rewrite(path: Path, lines: list[dict[str, Any]]) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path} cannot be written ({error}); make room, then go on with --resume.") from error
