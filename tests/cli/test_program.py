"""The program as a whole: quick to start, quiet, honest about errors."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from armature.cli.doctor import examine
from armature.cli.main import app
from armature.version import __version__

HEAVY = ("torch", "diffusers", "transformers", "cv2", "numpy", "PIL")


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["armature", "armature.cli.main"])
def test_importing_it_loads_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    assert python("-c", code).stdout == "[]\n"


def test_help_of_the_program_and_of_a_verb_need_nothing_heavy():
    code = (
        "import sys\nfrom armature.cli.main import app\nfor words in (['--help'], ['generate', '--help']):\n"
        "    try:\n        app(words)\n    except SystemExit as end:\n        assert end.code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = python("-c", code)
    assert done.stdout.endswith("[]\n")
    assert "generate" in done.stdout
    assert done.stderr == ""


def test_python_m_armature_is_the_program():
    done = python("-m", "armature", "--version")
    assert (done.returncode, done.stdout) == (0, f"armature {__version__}\n")


def test_errors_of_every_verb_are_one_line_with_exit_code_2(tmp_path):
    for words in (["inspect", str(tmp_path / "gone.pth")], ["extract", "magic", "a.png", "--out", "b.png"]):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 2
        assert done.stderr.startswith("armature: ")
        assert done.stderr.count("\n") == 1


def test_errors_of_a_verb_that_answers_in_json_are_json(tmp_path):
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "gone.pth"), "--json"])
    assert done.exit_code == 2
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "CheckpointError"
    assert "There is no file or folder" in error["message"]
    assert done.stderr == ""


def test_foreign_names_do_not_steer_the_terminal():
    done = CliRunner().invoke(app, ["inspect", "gone\x1b[31m\x07.pth"])
    assert done.exit_code == 2
    assert "gone" in done.stderr
    assert not {"\x1b", "\x07"} & set(done.stderr)


def test_help_is_short_to_ask_for_and_shells_can_complete():
    assert CliRunner().invoke(app, ["-h"]).stdout == CliRunner().invoke(app, ["--help"]).stdout
    assert CliRunner().invoke(app, ["list", "-h"]).exit_code == 0
    assert "--install-completion" in CliRunner().invoke(app, ["-h"]).stdout


def test_running_out_of_memory_is_told_without_a_traceback(monkeypatch):
    import armature.checkpoints.inspect as home

    def full(*arguments, **named):
        raise MemoryError

    monkeypatch.setattr(home, "read_checkpoint", full)
    done = CliRunner().invoke(app, ["inspect", "a.pth"])
    assert (done.exit_code, done.stderr.splitlines()[0][:24]) == (1, "armature: out of memory;")


def test_doctor_names_versions_device_and_the_embedded_parts():
    import torch

    found = examine()
    assert found["armature"] == __version__
    assert found["packages"]["torch"] == torch.__version__
    assert found["embedded base"] in ("present", "missing")
    assert found["hub"] in ("online mode", "offline mode")


def test_doctor_fails_when_the_embedded_base_is_missing(monkeypatch):
    import armature.embedded.paths as home
    from armature.errors import CheckpointError

    def missing():
        raise CheckpointError("gone")

    monkeypatch.setattr(home, "embedded_base_path", missing)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["problems"] == ["the embedded base model is missing: generate needs --base"]
