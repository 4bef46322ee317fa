"""Knows which threads are inside a U-Net call, so that hooks never vanish in the middle of one."""

from __future__ import annotations

import threading

# How long to sleep before looking again for threads that died inside a call, in seconds.
_PATIENCE = 0.05


class CallGate:
    """Counts threads in and out; once closed, lets none in."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: set[threading.Thread] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def enter(self) -> bool:
        """Register this thread's call; False when the gate is closed."""
        with self._changed:
            if not self._closed:
                # A set: a call cut off by the keyboard never left, and its thread enters again.
                self._inside.add(threading.current_thread())
            return not self._closed

    def leave(self) -> None:
        """The call of this thread has ended, well or badly."""
        with self._changed:
            self._inside.discard(threading.current_thread())
            self._changed.notify_all()

    def close(self) -> bool:
        """Let nobody in any more, and wait until the calls of other threads have ended; False when closed before."""
        with self._changed:
            if self._closed:
                return False
            self._closed = True
            while any(thread.is_alive() for thread in self._inside - {threading.current_thread()}):
                self._changed.wait(_PATIENCE)
            return True
