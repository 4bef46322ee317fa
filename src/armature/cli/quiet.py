"""The command line's own output is all that its verbs print."""

from __future__ import annotations

import warnings

from armature.quiet import quiet_for_good


def quiet_libraries() -> None:
    """Silence everything but errors of the libraries, for the rest of this process.

    Called by the verbs that run models, never on import: a program that uses Armature decides for itself.
    """
    warnings.simplefilter("ignore")
    quiet_for_good()
