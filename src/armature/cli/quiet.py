"""Keeping diffusers' and transformers' notices, warnings and progress bars off the command line's own output."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """Silence everything but errors of the libraries, for this process.

    Called by the verbs that run models, never on import: a program that uses Armature decides for itself. What a user
    must know of the libraries' notices, Armature tells in its own notes. Downloads keep their bars.
    """
    warnings.simplefilter("ignore")
    # diffusers imports it where it is installed, and it speaks up for every kernel that it does without.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # transformers first: diffusers imports parts of it that speak up when they miss an optional package.
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    from diffusers.utils import logging as diffusers_logging

    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
