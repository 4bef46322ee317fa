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
    from armature.adapters.registry import build_adapter
    from armature.adapters.save import save_adapter
    from armature.bases.embedded import embedded_pipeline
    from armature.bases.open import open_base
    from armature.checkpoints.inspect import inspect
    from armature.checkpoints.load import load_adapter
    from armature.conditions.contract import InputContract
    from armature.conditions.control_map import prepare_control
    from armature.conditions.extract import extract
    from armature.conditions.extractor import Extractor, Option
    from armature.conditions.kinds import Kind
    from armature.conditions.registry import register
    from armature.generation.generate import Generation, generate
    from armature.generation.repeat import settings_of
    from armature.injection.attach import Attachment, attach
    from armature.injection.control import Control
    from armature.injection.sites import find_sites
    from armature.training.train import train

_HOMES = {
    "Attachment": "armature.injection.attach",
    "Control": "armature.injection.control",
    "Extractor": "armature.conditions.extractor",
    "Features": "armature.adapters.features",
    "InputContract": "armature.conditions.contract",
    "Kind": "armature.conditions.kinds",
    "Option": "armature.conditions.extractor",
    "Generation": "armature.generation.generate",
    "attach": "armature.injection.attach",
    "build_adapter": "armature.adapters.registry",
    "embedded_pipeline": "armature.bases.embedded",
    "generate": "armature.generation.generate",
    "extract": "armature.conditions.extract",
    "find_sites": "armature.injection.sites",
    "inspect": "armature.checkpoints.inspect",
    "load_adapter": "armature.checkpoints.load",
    "register": "armature.conditions.registry",
    "prepare_control": "armature.conditions.control_map",
    "save_adapter": "armature.adapters.save",
    "open_base": "armature.bases.open",
    "settings_of": "armature.generation.repeat",
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
    "Generation",
    "InputContract",
    "Kind",
    "Option",
    "RecipeError",
    "__version__",
    "attach",
    "build_adapter",
    "embedded_pipeline",
    "extract",
    "find_sites",
    "generate",
    "inspect",
    "load_adapter",
    "open_base",
    "prepare_control",
    "register",
    "save_adapter",
    "settings_of",
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
