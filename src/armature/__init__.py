"""Armature: the T2I-Adapter framework; structure control for frozen Stable Diffusion U-Nets.

Names are resolved on first use, so that importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from armature.errors import (
    ArmatureError,
    AttachError,
    CheckpointError,
    ConditionError,
    DatasetError,
    RecipeError,
)
from armature.version import __version__

if TYPE_CHECKING:
    from armature.adapters.features import Features
    from armature.bases.embedded import embedded_pipeline
    from armature.checkpoints.load import load_adapter
    from armature.conditions.contract import InputContract
    from armature.conditions.extract import extract
    from armature.conditions.extractor import Extractor, Option
    from armature.conditions.kinds import Kind
    from armature.conditions.registry import register
    from armature.generation.generate import generate
    from armature.injection.attach import Attachment, attach
    from armature.injection.control import Control
    from armature.training.train import train

_HOMES = {
    "Attachment": "armature.injection.attach",
    "Control": "armature.injection.control",
    "Extractor": "armature.conditions.extractor",
    "Features": "armature.adapters.features",
    "InputContract": "armature.conditions.contract",
    "Kind": "armature.conditions.kinds",
    "Option": "armature.conditions.extractor",
    "attach": "armature.injection.attach",
    "embedded_pipeline": "armature.bases.embedded",
    "generate": "armature.generation.generate",
    "extract": "armature.conditions.extract",
    "load_adapter": "armature.checkpoints.load",
    "register": "armature.conditions.registry",
    "train": "armature.training.train",
}

__all__ = [
    "ArmatureError",
    "AttachError",
    "Attachment",
    "CheckpointError",
    "ConditionError",
    "Control",
    "DatasetError",
    "Extractor",
    "Features",
    "InputContract",
    "Kind",
    "Option",
    "RecipeError",
    "__version__",
    "attach",
    "embedded_pipeline",
    "extract",
    "generate",
    "load_adapter",
    "register",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'armature' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
