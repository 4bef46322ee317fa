"""Processes that work through a list: they end with their parent, at its Ctrl-C, and when it gives up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# A process that was told to end gets so many seconds until it is killed.
_PATIENCE = 1.0


class WorkerEndedError(Exception):
    """A process ended in the middle of its work: killed, out of memory, or unable to start."""


def run_in_processes(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    processes: int,
    start: Callable[..., None],
    arguments: tuple[Any, ...],
) -> Generator[tuple[Item, Result]]:
    """Each item with what `work` makes of it, as they are done.

    work, start: functions of a module, since the processes are fresh ones. start: called in each of them first.
    When the caller stops, whatever for, nothing that waits is begun any more and the processes are gone before this
    returns; they end by themselves when their parent is killed. Signals of the terminal are left to the parent.
    Raises WorkerEndedError, and what `work` raises.
    """
    # Fresh processes: forking a program that holds torch or OpenCV threads can lock up.
    context = _Context()
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(start, arguments))
    try:
        waiting: dict[Future[Result], Item] = {}
        with _without_interrupts():
            for item in items:
                waiting[pool.submit(work, item)] = item
        for done in as_completed(waiting):
            yield waiting.pop(done), done.result()
    except BrokenProcessPool as error:
        raise WorkerEndedError(str(error)) from error
    except BaseException:
        context.end()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Context(SpawnContext):
    """Remembers the processes that it starts, so that those and no others can be ended."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **named: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnProcess(*args, **named)
        self.started.append(process)
        return process

    def end(self) -> None:
        """End them all, by force where they do not listen."""
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started meanwhile never see a Ctrl-C, not even while they import; one that comes is seen afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start(*arguments)


def _end_with_parent() -> None:
    """Workers hold each other's pipes open: of a killed parent they would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
