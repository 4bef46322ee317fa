"""`armature doctor`: what is installed, where models run, and what works offline."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from armature.version import __version__

_PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "safetensors",
    "huggingface_hub",
    "opencv-python-headless",
    "Pillow",
    "numpy",
)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False) -> None:
    """Show versions, device, the embedded model and offline mode; exit code 1 when something needed is missing."""
    from armature.cli.quiet import quiet_libraries

    quiet_libraries()
    found = examine()
    if as_json:
        typer.echo(json.dumps(found))
    else:
        table = Table(show_header=False, box=None)
        for name, value in found.items():
            shown = ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, dict) else value
            table.add_row(name, ", ".join(shown) if isinstance(shown, list) else str(shown))
        Console().print(table)
    if found["problems"]:
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """The answers by name, JSON-ready; "problems" lists what keeps Armature from working."""
    from armature.devices import DeviceSpec

    versions = {name: _version(name) for name in _PACKAGES}
    place = DeviceSpec.choose()
    adapters, base = embedded_parts()
    problems = [f"{name} is not installed" for name, version in versions.items() if version == "missing"]
    if not base:
        problems.append("the embedded base model is missing: generate needs --base")
    return {
        "armature": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": versions,
        "device": f"{place.device.type} ({_device_name(place.device.type)}), {place.dtype_name}",
        "embedded base": "present" if base else "missing",
        "embedded adapters": adapters,
        "hub": "offline mode" if _hub_offline() else "online mode",
        "problems": problems,
    }


def embedded_parts() -> tuple[list[str], bool]:
    """The kinds that have an embedded adapter, and whether the embedded base is there."""
    from armature.embedded import paths
    from armature.errors import ArmatureError

    kinds = list(paths.embedded_adapter_kinds())
    try:
        paths.embedded_base_path()
    except ArmatureError:
        return kinds, False
    return kinds, True


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _device_name(kind: str) -> str:
    import torch

    if kind == "cuda":
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} cores, {torch.get_num_threads()} threads" if kind == "cpu" else "Apple GPU"


def _hub_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)
