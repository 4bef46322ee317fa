"""`armature train` and `armature prepare`: what they print, and bad input, a line for each mistake with exit code 2."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from armature.cli.main import app

RECIPE = """
run = "run"
[base]
model = "{base}"
[adapter]
kind = "canny"
blocks = 1
[data]
source = "photos"
resolution = 64
held_out = 1
[train]
length = "2 steps"
batch = 2
workers = 0
[logging]
tensorboard = false
[eval]
every = "never"
preview_every = "never"
"""


@pytest.fixture
def run(bases, tmp_path, monkeypatch):
    """Run a verb on a recipe in an empty folder that holds five photos."""
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(RECIPE.format(base=bases["sd"]))
    Path("photos").mkdir()
    for number in range(5):
        Image.new("RGB", (64, 64), (40 * number, 90, 30)).save(f"photos/{number}.png")
        Path(f"photos/{number}.caption").write_text("a colour")
    return lambda verb, *words: CliRunner().invoke(app, [verb, "recipe.toml", *words])


def test_a_dry_run_prints_the_plan_and_writes_nothing(run):
    done = run("train", "--dry-run", "train.batch=1")
    assert done.exit_code == 0, done.stderr
    assert "5 samples, 4 to train on, 1 held out" in done.stdout
    assert "2 steps, 4 steps an epoch, 1 samples a step" in " ".join(done.stdout.split())
    told = json.loads(run("train", "--dry-run", "--json").stdout)
    assert (told["samples"], told["steps"], told["cache"]) == (4, 2, "absent")
    assert sorted(path.name for path in Path().iterdir()) == ["photos", "recipe.toml"]


def test_preparing_training_and_resuming(run):
    done = run("prepare", "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["samples"], told["held_out"], told["bad"]) == (5, 1, {})
    assert run("prepare").stdout == f"5 samples, 1 of them held out, 0 left out: {' and '.join(told['cache'])}\n"
    done = run("train", "logging.every=1 step")
    assert (done.exit_code, done.stdout) == (0, "run/adapter\n"), done.stderr
    assert "training step 2/2, loss " in done.stderr
    refused = run("train")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("armature: run already holds checkpoints up to step-00000002.")
    assert refused.stderr.count("\n") == 1
    done = run("train", "length=3 steps", "--resume", "--json")
    told = json.loads(done.stdout)
    assert (told["adapter"], told["steps"], done.stderr) == ("run/adapter", 3, "")


def test_all_mistakes_are_told_one_a_line(run):
    done = run("train", "train.bach=3", "batch=0", "--dry-run")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "armature: recipe.toml has 2 mistakes:",
        "armature: train.bach is no key of a recipe; did you mean train.batch?",
        "armature: train.batch is 0; expected a whole number, at least 1",
    ]


@pytest.mark.parametrize("verb", ["train", "prepare"])
def test_other_bad_input_is_one_line(run, verb):
    for words, told in (
        (["data=nowhere"], "armature: data.source: nothing at 'nowhere'"),
        (["base=nowhere"], "armature: There is no base model 'nowhere'"),
        (["network=full_xl"], "armature: The full_xl adapter for canny and the base 'sd'"),
    ):
        done = run(verb, *words)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
        assert done.stderr.startswith(told)
    done = run("prepare", "cache.enabled=false")
    assert done.stderr.startswith("armature: cache.enabled is false, so there is nothing to prepare")


def test_a_signal_and_lack_of_memory_have_their_own_exit_codes(run, monkeypatch):
    import armature.training.train as home
    from armature.training.trainer.interrupt import TrainingStoppedError

    def stopped(*arguments, **named):
        raise TrainingStoppedError("Stopped by SIGTERM after step 1; its checkpoint is saved.", 15)

    monkeypatch.setattr(home, "run_training", stopped)
    done = run("train")
    assert (done.exit_code, done.stderr[:29]) == (143, "armature: Stopped by SIGTERM ")

    def full(*arguments, **named):
        raise MemoryError

    monkeypatch.setattr(home, "run_training", full)
    done = run("train")
    assert (done.exit_code, done.stderr[:51]) == (1, "armature: out of memory; halve train.batch and doub")
