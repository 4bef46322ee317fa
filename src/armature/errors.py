"""The library's own exceptions: each message says what was given, what was expected and what to do."""

# Letters of a line: more than any message of ours has by itself.
_LONGEST = 2000


class ArmatureError(Exception):
    """Base of every error that Armature raises on purpose; the command line prints it as one line.

    Messages quote names and texts of foreign files, and are made `readable`.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__("\n".join(readable(line) for line in message.split("\n")))


def readable(line: str) -> str:
    """A line that can be printed and read: what no letter shows, or would steer a terminal, is written out, and of a
    very long one the middle is left out.
    """
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 4 :]}"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


class CheckpointError(ArmatureError):
    """A weight file or folder that cannot be read, recognised, converted or written."""


class ConditionError(ArmatureError):
    """A picture or condition map that cannot be used as it is."""


class AttachError(ArmatureError):
    """Controls that do not fit the model, the call or each other."""


class RecipeError(ArmatureError):
    """A recipe or a generation setting with one or more wrong values."""


class DatasetError(ArmatureError):
    """Training data that is missing, broken or inconsistent."""
