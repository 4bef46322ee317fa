"""Places, names and texts that cannot be used: one line each, exit code 2, no traceback."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from armature.cli.main import app
from armature.generation.record import read_settings

BAD = os.fsdecode(b"gr\xfcn")  # bytes of a name that are no UTF-8


@pytest.fixture
def run(bases, pictures, tmp_path, monkeypatch):
    """Run the program in a folder with lines.png and a file called file."""
    monkeypatch.chdir(tmp_path)
    Path("lines.png").write_bytes(Path(pictures["lines"]).read_bytes())
    Path("file").write_bytes(b"x")

    def call(*words):
        stand_ins = {"BASE": bases["sd"], "ADAPTER": bases["sketch"]}
        for name, path in stand_ins.items():
            words = [word.replace(name, str(path)) for word in words]
        return CliRunner().invoke(app, words)

    return call


GENERATE = ("generate", "a house", "--base", "BASE", "--steps", "1")


@pytest.mark.parametrize(
    "words",
    [
        (*GENERATE, "--out", "file/a.png"),
        (*GENERATE, "--out", "file/deeper/"),
        (*GENERATE, "--out", "/proc/nothing/a.png"),
        (*GENERATE, "--out", "x" * 300 + ".png"),
        (*GENERATE, "--out", "~nosuchuser/" + "x" * 300 + ".png"),
        ("extract", "canny", "lines.png", "--out", "file/a.png"),
        ("extract", "canny", "lines.png", "--out", "/proc/nothing/a.png"),
        ("extract", "canny", "lines.png", "--out", "x" * 300 + ".png"),
        ("extract", "canny", "x" * 300 + ".png", "--out", "a.png"),
        ("convert", "ADAPTER", "file/out", "--to", "diffusers"),
        ("convert", "ADAPTER", "/proc/nothing/out", "--to", "original"),
        ("generate", "a house", "--base", "~nosuchuser/model"),
        (*GENERATE, "--vae", "~nosuchuser/vae"),
        (*GENERATE, "-c", "sketch=~nosuchuser/a.png"),
        (*GENERATE, "-c", "sketch=lines.png,mask=~nosuchuser/a.png"),
        (*GENERATE, "-c", "sketch=lines.png", "--adapter", "sketch=~nosuchuser/a.pth"),
        ("inspect", "~nosuchuser/a.pth"),
        ("generate", BAD, "--base", "BASE"),
        (*GENERATE, "--negative", BAD),
        (*GENERATE, "-c", f"sketch={BAD}.png"),
        (*GENERATE, "--like", f"{BAD}.png"),
        (*GENERATE, "-c", "sketch=" + "x" * 300 + ".png"),
        (*GENERATE, "--size", "999999x999999"),
        (*GENERATE, "--seed", "9" * 400),
        ("inspect", f"{BAD}.pth"),
        ("inspect", "lines.png"),
        ("inspect", "x" * 300),
    ],
    ids=lambda words: " ".join(words)[:60].encode("ascii", "replace").decode(),
)
def test_one_line_and_nothing_written(run, words):
    before = sorted(Path().iterdir())
    done = run(*words)
    assert done.exit_code == 2, (done.output, done.exception)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith("armature: ")
    assert len(done.stderr) < 700
    assert sorted(Path().iterdir()) == before


def test_names_of_bytes_that_are_no_text_work_and_are_recorded_as_text(run):
    os.rename("lines.png", f"{BAD}.png")
    done = run(*GENERATE, "-c", f"sketch={BAD}.png", "--adapter", "sketch=ADAPTER", "--out", "a.png")
    assert done.exit_code == 0, done.output
    assert read_settings("a.png").controls[0].image.name == "gr?n.png"


def record(change):
    with Image.open("a.png") as image:
        values = json.loads(image.info["armature"])
        change(values)
        info = PngInfo()
        info.add_text("armature", json.dumps(values))
        image.save("b.png", pnginfo=info)


def test_inspect_shows_a_pictures_settings_or_why_not(run):
    assert run(*GENERATE, "--seed", "7", "--out", "a.png").exit_code == 0
    shown = run("inspect", "a.png")
    assert shown.exit_code == 0
    assert [line.split() for line in shown.stdout.splitlines() if line.split()[0] in ("prompt", "seed")] == [
        ["prompt", "a", "house"],
        ["seed", "7"],
    ]
    assert json.loads(run("inspect", "a.png", "--json").stdout)["seed"] == 7
    record(lambda values: values.update(steps=10**12))
    done = run("inspect", "b.png")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "steps is 1000000000000, expected 1 to 100000" in done.stderr


def test_ctrl_c_is_one_line_and_exit_code_130(tmp_path):
    """In a process of its own: the signal reaches a verb at work."""
    code = (
        "import signal, sys, time\nimport armature.cli.main as main\nimport armature.checkpoints.inspect as home\n"
        # Programs that were started in the background ignore the signal unless they ask for it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def slow(*given, **named):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "home.read_checkpoint = slow\nsys.argv = ['armature', 'inspect', 'a.pth']\nmain.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "armature: stopped by Ctrl-C.\n")
