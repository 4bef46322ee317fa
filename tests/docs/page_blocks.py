"""Reads the fenced code of a page, and runs or checks it.

Every `python` and `sh` block runs, in the page's order and with the page's names, unless `<!-- not run: REASON -->`
stands on the line above it; then Python must compile and name what exists, and commands must parse.
"""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

import armature
from armature.cli.main import app

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- not run: (?P<reason>[^\n]+?) -->\n *)?```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_RUN = ("python", "sh")


@dataclass(frozen=True)
class Block:
    """One fenced block. line: of its first line of code, from 1. reason: why it does not run, or None."""

    page: Path
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The Python and shell blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        if match["language"] not in _RUN:
            continue
        indent = len(match["indent"])
        code = "".join(line[indent:] for line in match["code"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(page, line, match["language"], code, match["reason"]))
    return found


def run(block: Block, names: dict[str, Any]) -> None:
    """Run a block in the current folder; `names` are what earlier Python blocks of the page defined."""
    if block.language == "python":
        # As many lines before it as in the page, so that a traceback names the page's own.
        exec(compile("\n" * (block.line - 1) + block.code, str(block.page), "exec"), names)
        return
    for words in commands(block.code):
        if words[0] == "armature":
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, f"{block.where}: {shlex.join(words)}\n{done.output}\n{done.exception!r}"
        elif words[0] == "python" and words[1].startswith("examples/"):
            run_example(words[1], *words[2:])
        else:
            raise AssertionError(f"{block.where}: {words[0]} cannot be run here; mark the block as not run")


def run_example(path: str, *arguments: str) -> None:
    """Run one file of examples/ as a program, in the current folder."""
    before = sys.argv
    sys.argv = [path, *arguments]
    try:
        runpy.run_path(str(ROOT / path), run_name="__main__")
    finally:
        sys.argv = before


def check(block: Block) -> None:
    """What can be said of a block without running it."""
    if block.language == "python":
        tree = ast.parse(block.code, str(block.page))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "armature":
                home = importlib.import_module(node.module or "")
                missing = [alias.name for alias in node.names if not hasattr(home, alias.name)]
                assert not missing, f"{block.where}: {node.module} has no {missing}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "armature":
                assert hasattr(armature, node.attr), f"{block.where}: armature has no {node.attr}"
        return
    for words in commands(block.code):
        # After a launcher such as accelerate, the program's own words follow its module's name.
        if words[0] == "armature" or "armature" in words:
            parse(words[words.index("armature") + 1 :], block.where)


def parse(words: list[str], where: str) -> None:
    """Let the command line's own parser read a command, without running it."""
    program: Any = get_command(app)
    if words[0].startswith("-"):
        return
    verb = program.commands.get(words[0])
    assert verb is not None, f"{where}: there is no verb {words[0]!r}"
    try:
        verb.make_context(words[0], list(words[1:]))
    except Exception as error:
        raise AssertionError(f"{where}: {shlex.join(words)}: {getattr(error, 'message', error)}") from error


def commands(code: str) -> list[list[str]]:
    """The commands of a shell block, as words; comments and empty lines are passed over."""
    lines = code.replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]
