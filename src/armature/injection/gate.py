"""Knows which threads are inside a U-Net call, so that hooks never vanish in the middle of one."""

from __future__ import annotations

import sys
import threading
from types import FrameType

from torch import nn

from armature.bases.unet import plain_module

# How long to sleep before looking again for threads that left a call without a word, in seconds.
_PATIENCE = 0.05


class CallGate:
    """Counts threads in and out of one U-Net; once closed, lets none in."""

    def __init__(self, unet: nn.Module) -> None:
        self._unet = unet
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
            while any(self._really_inside(thread) for thread in self._inside - {threading.current_thread()}):
                self._changed.wait(_PATIENCE)
            return True

    def _really_inside(self, thread: threading.Thread) -> bool:
        """Whether the U-Net is on the thread's stack: torch runs no hooks for what is no Exception, and so a call that
        the keyboard cut off never said that it ended.
        """
        frame: FrameType | None = sys._current_frames().get(thread.ident or -1)
        while frame is not None:
            code = frame.f_code
            if code.co_argcount and code.co_varnames[0] == "self":
                owner = frame.f_locals.get("self")
                if isinstance(owner, nn.Module) and plain_module(owner) is self._unet:
                    return True
            frame = frame.f_back
        return False
