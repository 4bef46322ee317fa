"""A few hundred hostile inputs of every kind, the same ones every time; `make fuzz` tries others, and more."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked processes")
TESTS = Path(__file__).parents[1]


def fuzz(*options):
    """In a process of its own: it forks, which one that has threads must not."""
    paths = os.pathsep.join([str(TESTS), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-m", "fuzz", *map(str, options)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


def test_hostile_inputs_are_refused_in_words_or_work(tmp_path):
    done = fuzz("--count", 300, "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^(29|30)\d cases in \d+ s: 0 findings$", done.stdout, re.MULTILINE)
    assert not list(tmp_path.iterdir())


def test_what_a_case_may_not_do_is_seen(tmp_path):
    done = fuzz("--count", 12, "--kind", "planted", "--seconds", 2, "--out", tmp_path)
    seen = dict(re.findall(r"^planted-0-(\d+): ([a-z ]+):", done.stdout, re.MULTILINE))
    assert seen == {
        "0": "exception",
        "1": "warning",
        "2": "chatter",
        "3": "wrote outside",
        "4": "read outside",
        "5": "process",
        "6": "left over",
        "7": "hang",
        "8": "crash",
        "9": "memory",
        "10": "message",
        "11": "network",
    }, done.stdout + done.stderr
    assert done.returncode == 1
    kept = tmp_path / "planted-0-0"
    assert "python -m fuzz --kind planted --seed 0 --case 0" in (kept / "finding.txt").read_text()
    # Of two files with 49 bytes, what it takes is one byte; a slow machine stops looking at some more.
    assert [path.read_bytes().strip() for path in (kept / "input").iterdir()] == [b"!"]
