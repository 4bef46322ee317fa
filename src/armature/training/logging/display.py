"""What a person sees while a training runs: bars on a terminal, lines of text elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from armature.training.logging.progress import Progress

_COLUMNS = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[words]}"))
# Share of the preparation after which a line is written where no bar can be drawn.
_TENTH = 0.1


class Display(Protocol):
    """Is told how a training goes; a context manager that ends its bars."""

    def note(self, words: str) -> None:
        """A sentence that a person should read."""
        ...

    def preparing(self, done: int, total: int) -> None:
        """Samples that were encoded for the cache, of all."""
        ...

    def training(self, progress: Progress) -> None:
        """After every step."""
        ...

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Silent:
    """Shows nothing."""

    def note(self, words: str) -> None:
        """Drop it."""

    def preparing(self, done: int, total: int) -> None:
        """Drop it."""

    def training(self, progress: Progress) -> None:
        """Drop it."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Terminal(Silent):
    """Bars that are redrawn, on stderr."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(*_COLUMNS, console=console, transient=True)
        self._preparing: TaskID | None = None
        self._training: TaskID | None = None

    def note(self, words: str) -> None:
        """Above the bars."""
        self._bars.console.print(f"note: {words}", style="yellow", markup=False, highlight=False)

    def preparing(self, done: int, total: int) -> None:
        """A bar with numbers."""
        if self._preparing is None:
            self._preparing = self._bars.add_task("preparing", words="")
        self._bars.update(self._preparing, completed=done, total=total, words=f"{done}/{total}")

    def training(self, progress: Progress) -> None:
        """A bar with step, loss, images per second, time left and memory."""
        if self._training is None:
            self._training = self._bars.add_task("training", words="", total=1.0)
        self._bars.update(self._training, completed=progress.share, words=in_words(progress))

    def __enter__(self) -> Terminal:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


class Lines(Silent):
    """One line for every new set of figures, on stderr: for files and for machines without a terminal."""

    def __init__(self) -> None:
        self._figures: dict[str, float] | None = None
        self._told = 0.0

    def note(self, words: str) -> None:
        """A line."""
        print(f"note: {words}", file=sys.stderr, flush=True)

    def preparing(self, done: int, total: int) -> None:
        """A line for every tenth."""
        if done > self._told and (done == total or done >= self._told + _TENTH * total):
            self._told = done
            print(f"preparing {done}/{total}", file=sys.stderr, flush=True)

    def training(self, progress: Progress) -> None:
        """A line whenever figures were logged."""
        if progress.figures and progress.figures != self._figures:
            self._figures = dict(progress.figures)
            print(f"training {in_words(progress)}", file=sys.stderr, flush=True)


def open_display(*, shown: bool) -> Display:
    """Bars on a terminal, lines elsewhere, nothing unless wanted."""
    if not shown:
        return Silent()
    console = Console(stderr=True)
    return Terminal(console) if console.is_terminal else Lines()


def in_words(progress: Progress) -> str:
    """Step, loss, images per second, time left and memory, as far as they are known."""
    step = progress.state.step
    words = [f"step {step}" if progress.steps is None else f"step {step}/{progress.steps}"]
    figures = progress.figures
    if "train/loss" in figures:
        words.append(f"loss {figures['train/loss']:.4f}")
    if "train/images_per_second" in figures:
        words.append(f"{figures['train/images_per_second']:.3g} images/s")
    if progress.minutes_left is not None:
        words.append(f"{duration_in_words(progress.minutes_left)} left")
    if "train/memory_gib" in figures:
        words.append(f"{figures['train/memory_gib']:.1f} GiB")
    return ", ".join(words)


def duration_in_words(minutes: float) -> str:
    """45 s, 12 min, 3 h 05 min."""
    if minutes < 1:
        return f"{max(0, round(60 * minutes))} s"
    whole = round(minutes)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60:02d} min"
