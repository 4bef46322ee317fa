"""Other libraries' notices and loading bars: kept off the terminal while Armature loads models, unless asked for."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

# What a user must know of the libraries' notices, Armature tells in its own notes.
SHOW = "ARMATURE_VERBOSE"

_lock = threading.Lock()
_depth = 0
_undo = ExitStack()
_unwarned = 0
_filters = ExitStack()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """While it holds, diffusers and transformers print errors only, and no bars but those of downloads.

    Also a decorator. What the program had set holds again afterwards; where it had asked a library for more than
    warnings, or the environment sets ARMATURE_VERBOSE to anything but 0, that library is left alone. Calls may nest,
    and come from several threads: the last one to leave sets things back.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


@contextmanager
def without_warnings() -> Iterator[None]:
    """While it holds, Python's warnings are not shown: those of decoders about files that are judged by other means.

    The filters are the process's own, and restoring them while another thread has set some would lose these: calls of
    several threads may overlap, and the last one to leave sets them back.
    """
    global _unwarned
    with _lock:
        if _unwarned == 0:
            _filters.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _unwarned += 1
    try:
        yield
    finally:
        with _lock:
            _unwarned -= 1
            if _unwarned == 0:
                _filters.close()


def quiet_for_good() -> None:
    """The same for the rest of the process, as a program's own start."""
    _enter()


def _enter() -> None:
    global _depth
    with _lock:
        if _depth == 0:
            _hush()
        _depth += 1


def _leave() -> None:
    global _depth
    with _lock:
        _depth -= 1
        if _depth == 0:
            _undo.close()


def _hush() -> None:
    if os.environ.get(SHOW, "0") not in ("", "0"):
        return
    # transformers first: diffusers imports parts of it that speak up when they miss an optional package.
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils import logging as transformers_logging

    # transformers' switch is the hub's as well; a download of gigabytes should show that it moves.
    downloads_shown = not are_progress_bars_disabled()
    if not downloads_shown:
        _undo.callback(disable_progress_bars)
    _hush_library(transformers_logging)
    if downloads_shown:
        enable_progress_bars()
    from diffusers.utils import logging as diffusers_logging

    _hush_library(diffusers_logging)
    # diffusers imports it where it is installed, and it speaks up for every kernel that it does without.
    kernels = logging.getLogger("bitsandbytes")
    _undo.callback(kernels.setLevel, kernels.level)
    kernels.setLevel(logging.ERROR)


def _hush_library(library: Any) -> None:
    """Through diffusers' or transformers' own logging module."""
    level = library.get_verbosity()
    if level < logging.WARNING:
        return
    _undo.callback(library.set_verbosity, level)
    library.set_verbosity(max(level, logging.ERROR))
    if library.is_progress_bar_enabled():
        _undo.callback(library.enable_progress_bar)
        library.disable_progress_bar()
