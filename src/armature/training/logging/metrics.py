"""The log of a training: one JSON object a line, and whoever else is to be told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from armature.errors import RecipeError
from armature.files import replacing

NAME = "metrics.jsonl"


class Board(Protocol):
    """Another place that figures are shown at."""

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Show the finite figures of a step."""
        ...

    def rewind(self, step: int) -> None:
        """Forget what was shown of later steps, as far as the place can."""
        ...

    def close(self) -> None:
        """Write everything out."""
        ...


class MetricsLog:
    """RUN/metrics.jsonl, where every line has a step, minutes and images where they are told, and figures by name.

    Lines are flushed one by one; what a kill left of the last one is dropped at the next opening. A figure that is not
    finite becomes null. boards: told the same; see armature.training.logging.trackers.
    Raises RecipeError when the file cannot be opened or read.
    """

    def __init__(self, run: str | Path, boards: tuple[Board, ...] = ()) -> None:
        self.path = Path(run) / NAME
        self._boards = boards
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and not _whole(self.path):
                _rewrite(self.path, _lines(self.path))
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise RecipeError(f"{self.path} cannot be opened ({error}); choose another run folder.") from error

    def write(
        self,
        step: int,
        figures: Mapping[str, float],
        *,
        minutes: float | None = None,
        images: int | None = None,
    ) -> None:
        """Add a line. figures: by slash-separated names. Raises RecipeError when the disk is full."""
        facts = {"step": step, "minutes": None if minutes is None else round(minutes, 3), "images": images}
        line: dict[str, Any] = {name: value for name, value in facts.items() if value is not None}
        line |= {name: value if math.isfinite(value) else None for name, value in figures.items()}
        try:
            self._file.write(json.dumps(line, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise RecipeError(
                f"{self.path} cannot be written ({error}); make room, then go on with --resume."
            ) from error
        for board in self._boards:
            board.write(step, {name: value for name, value in figures.items() if math.isfinite(value)})

    def rewind(self, step: int) -> None:
        """Drop the lines of later steps: a training resumed at `step` will write them anew. All of them, or none."""
        self._file.close()
        _rewrite(self.path, [line for line in _lines(self.path) if line["step"] <= step])
        self._file = self.path.open("a", encoding="utf-8")
        for board in self._boards:
            board.rewind(step)

    def close(self) -> None:
        """Close the file and the boards; closing again is harmless."""
        self._file.close()
        for board in self._boards:
            board.close()

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
    found = {line["step"]: float(line[name]) for line in lines if line.get(name) is not None}
    return sorted(found.items())


def _lines(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            break
        if not isinstance(line, dict) or not isinstance(line.get("step"), int):
            break
        found.append(line)
    return found


def _whole(path: Path) -> bool:
    text = path.read_bytes()
    return not text or (text.endswith(b"\n") and len(_lines(path)) == text.count(b"\n"))


def _rewrite(path: Path, lines: list[dict[str, Any]]) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path} cannot be written ({error}); make room, then go on with --resume.") from error
