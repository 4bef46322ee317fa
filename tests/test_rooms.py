"""Imports run down the list of rooms: read off the source, function-level and type-checking imports included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import armature

PACKAGE = Path(armature.__file__).parent

# Ground floor first; names on one line do not import each other.
ROOMS = (
    ("errors", "version"),
    ("files", "devices", "hub", "quiet", "foreign"),
    ("toyworld",),
    ("embedded",),
    ("conditions",),
    ("adapters",),
    ("checkpoints",),
    ("bases",),
    ("injection",),
    ("generation",),
    ("data",),
    ("evaluation",),
    ("training",),
    ("studio",),
    ("cli",),
    # `armature` itself, the public face, and `python -m armature`.
    ("__init__", "__main__"),
)
FLOOR = {name: height for height, names in enumerate(ROOMS) for name in names}

# Sub-rooms in the same order; a room's own files, which lie beside them, may import all of them.
SUB_ROOMS = {
    "conditions": ("picture", "pose", "networks", "extractors"),
    "data": ("sources", "samples", "encoding", "cache", "loader"),
    "training": ("recipe", "checkpoint", "logging", "trainer", "callbacks", "export"),
}


@dataclass(frozen=True)
class Arrow:
    """One import. source, target: modules by their path inside the package, such as "data.cache.shard"."""

    source: str
    target: str
    line: int
    by_string: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"

    @property
    def rooms(self) -> tuple[str, str]:
        return self.source.split(".")[0], self.target.split(".")[0]


def modules() -> dict[str, Path]:
    """Every module of the package by its path inside it; a sub-package goes by its folder's name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def module_of(dotted: str) -> str | None:
    """The module that a dotted name of this package means: "armature.files.public_name" is "files"."""
    parts = dotted.split(".")
    if parts[0] != "armature":
        return None
    for length in range(len(parts), 1, -1):
        if (name := ".".join(parts[1:length])) in MODULES:
            return name
    return "__init__"


def imported(name: str, tree: ast.Module) -> Iterator[Arrow]:
    """Every import of this package's own modules in one module, those by string too."""
    is_folder = MODULES[name].name == "__init__.py" and name != "__init__"
    package = ["armature", *(name.split(".") if is_folder else name.split(".")[:-1])]
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    for_types = {id(node) for guard in guards for part in guard.body for node in ast.walk(part)}
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        dotted: list[str] = []
        by_string = False
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            home = ".".join([*above, *([node.module] if node.module else [])])
            dotted = [f"{home}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            # Whole strings and the beginnings of f-strings; prose that names a module holds spaces.
            text = node.value.rstrip(".")
            dotted, by_string = [text] if text.startswith("armature.") and " " not in text else [], True
        for one in dotted:
            target = module_of(one)
            if target is None or (by_string and target == "__init__"):
                continue
            yield Arrow(name, target, getattr(node, "lineno", 0), by_string, id(node) in for_types)


ARROWS = [arrow for name, path in MODULES.items() for arrow in imported(name, ast.parse(path.read_text()))]


def test_the_reader_sees_every_form_of_import(monkeypatch):
    monkeypatch.setitem(MODULES, "data.look", PACKAGE / "data" / "look.py")
    source = '''
"""armature.cli.main"""
import armature
import armature.errors as errors, torch
from armature import __version__, toyworld
from armature.files import public_name
from . import sources
if TYPE_CHECKING:
    from ..bases.open import Base
def f():
    import armature.cli.main
    import_module("armature.generation.generate")
    import_module(f"armature.training.{name}")
    raise ValueError("armature.cli.main is not it; see armature.org")
'''
    found = {(arrow.target, arrow.by_string) for arrow in imported("data.look", ast.parse(source))}
    assert found == {
        ("__init__", False),
        ("errors", False),
        ("toyworld", False),
        ("files", False),
        ("data.sources", False),
        ("bases.open", False),
        ("cli.main", False),
        ("generation.generate", True),
        ("training", True),
    }


def test_every_room_has_its_floor():
    assert {name.split(".")[0] for name in MODULES} <= set(FLOOR)


def lies_inside(arrow: Arrow, room: str) -> bool:
    """Whether both ends lie inside one room."""
    return all(name.startswith(f"{room}.") for name in (arrow.source, arrow.target))


def test_no_import_runs_up():
    # From one file on a floor to another on the same floor counts as up.
    up = {str(a) for a in ARROWS if a.rooms[0] != a.rooms[1] and FLOOR[a.rooms[0]] <= FLOOR[a.rooms[1]]}
    assert up == set()


def test_toyworld_imports_nothing_of_the_others():
    assert [str(arrow) for arrow in ARROWS if arrow.rooms[0] == "toyworld" != arrow.rooms[1]] == []


@pytest.mark.parametrize("room", SUB_ROOMS)
def test_imports_among_sub_rooms_run_down_too(room):
    floor = {name: height for height, name in enumerate(SUB_ROOMS[room])}
    inside = [(a, *(floor.get(n.split(".")[1]) for n in (a.source, a.target))) for a in ARROWS if lies_inside(a, room)]
    up = {str(arrow) for arrow, source, target in inside if None not in (source, target) and source < target}
    assert up == set()


def test_nothing_is_imported_by_string_from_another_room():
    # The public face resolves its names on first use; a room may find its own plug-ins by name.
    found = [str(a) for a in ARROWS if a.by_string and a.rooms[0] not in ("__init__", a.rooms[1])]
    assert found == []


def test_inner_rooms_do_not_import_the_public_face():
    assert [str(arrow) for arrow in ARROWS if arrow.target == "__init__"] == []


def test_no_two_files_import_each_other():
    # Inside a room a file may name another's class in its annotations.
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for arrow in ARROWS:
        if not arrow.by_string and not arrow.for_types and arrow.target != arrow.source:
            graph[arrow.source].add(arrow.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None
