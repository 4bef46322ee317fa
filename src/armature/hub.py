"""Whether the Hugging Face hub can be asked at all: one short question, before libraries retry for a minute."""

from __future__ import annotations

import threading
import time

# A connection that takes longer is no use for weights; and for how long an answer holds.
_SECONDS = 5.0
_HOLDS = {True: 30.0, False: 600.0}

_lock = threading.Lock()
_known: tuple[bool, float] | None = None


def unreachable() -> bool:
    """Whether only the hub's cache can be used: offline mode is on, or the hub does not answer within 5 seconds.

    At most one request, without a retry; the answer is remembered for a while. To be given to the libraries as
    `local_files_only`: each of theirs asks several times, waits in between, and prints what it does.
    """
    global _known
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return True
    with _lock:
        if _known is None or time.monotonic() > _known[1]:
            silent = not _answers(constants.ENDPOINT)
            _known = silent, time.monotonic() + _HOLDS[silent]
        return _known[0]


def forget() -> None:
    """Ask again next time."""
    global _known
    with _lock:
        _known = None


def is_cached(repo: str, name: str) -> bool:
    """Whether a file of a repository lies in the hub's cache; False also for what can be no repository's name."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return isinstance(try_to_load_from_cache(repo, name), str)
    except HFValidationError:
        return False


def _answers(endpoint: str) -> bool:
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=_SECONDS)
    except Exception:  # whatever keeps the question from being answered: name, route, proxy, certificate
        return False
    return True
