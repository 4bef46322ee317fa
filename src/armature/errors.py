"""The library's own exceptions: each message says what was given, what was expected and what to do."""


class ArmatureError(Exception):
    """Base of every error that Armature raises on purpose; the command line prints it as one line."""


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
