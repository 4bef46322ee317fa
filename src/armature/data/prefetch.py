"""Work done ahead by threads, handed out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Prefetch(Generic[Job, Result], Iterator[Result]):
    """The results of `work` for each job, in the jobs' order, whatever the number of threads.

    workers: threads; 0 does the work in the caller, when asked. ahead: most jobs under way or waiting; twice the
    workers unless given. An exception in a job is raised at its place in the order, and ends the iteration.
    """

    def __init__(
        self, jobs: Iterable[Job], work: Callable[[Job], Result], *, workers: int, ahead: int | None = None
    ) -> None:
        self._jobs = iter(jobs)
        self._work = work
        self._ahead = max(1, 2 * workers if ahead is None else ahead)
        self._waiting: deque[Future[Result]] = deque()
        self._pool = ThreadPoolExecutor(workers, "armature-prefetch") if workers else None
        self._open = True

    def __next__(self) -> Result:
        if not self._open:
            raise StopIteration
        try:
            if self._pool is None:
                return self._work(next(self._jobs))
            while len(self._waiting) < self._ahead:
                try:
                    job = next(self._jobs)
                except StopIteration:
                    break
                self._waiting.append(self._pool.submit(self._work, job))
            if not self._waiting:
                raise StopIteration
            return self._waiting.popleft().result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the jobs that wait, and return once those under way have ended and the threads are gone."""
        self._open = False
        self._waiting.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
