"""The embedded model's recipes are scripts outside the package; tests of their parts import them from there."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2] / "recipes" / "embedded"


@pytest.fixture
def recipe_part(monkeypatch):
    """Imports a script of the recipes by its name, and forgets it afterwards."""
    monkeypatch.syspath_prepend(str(HOME))
    imported = []

    def part(name):
        imported.append(name)
        return import_module(name)

    yield part
    for name in imported:
        sys.modules.pop(name, None)
