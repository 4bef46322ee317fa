"""`armature generate` with --like, --prompts, --grid and --watch."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

from armature.cli.main import app
from armature.evaluation.sheet import GAP, HEAD
from armature.generation.record import read_settings


@pytest.fixture
def run(bases, pictures, tmp_path, monkeypatch):
    """Run the verb on the small base, in a folder with lines.png and ink.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("lines", "ink"):
        shutil.copy(pictures[name], f"{name}.png")

    def call(*arguments, base=True):
        words = [str(argument) for argument in arguments]
        given = ["--base", str(bases["sd"]), "--steps", "1"] if base else []
        if base and ("--like" in words or any(word.startswith("sketch=") for word in words)):
            given.append(f"--adapter=sketch={bases['sketch']}")
        return CliRunner().invoke(app, ["generate", *given, *words])

    return call


def pixels(path):
    return np.asarray(Image.open(path))


def test_like_repeats_a_picture_and_options_beside_it_win(run, bases):
    control = ["-c", "sketch=lines.png,weight=0.7,fit=pad"]
    assert run("a red house", *control, "--seed", 7, "--guidance", 3, "--out", "a.png").exit_code == 0
    for name in ("sd", "sketch"):
        os.symlink(bases[name], name)
    done = run("--like", "a.png", "--out", "b.png", base=False)
    assert (done.exit_code, done.stdout) == (0, "b.png\n"), done.stderr
    assert np.array_equal(pixels("a.png"), pixels("b.png"))
    assert read_settings("b.png") == read_settings("a.png")
    other = run("a tree", "--like", "a.png", "--seed", 8, "--control", "sketch=ink.png", "--out", "c.png", base=False)
    assert other.exit_code == 0, other.stderr
    settings = read_settings("c.png")
    assert (settings.prompt, settings.seed, settings.guidance, settings.steps) == ("a tree", 8, 3.0, 1)
    assert [(one.image.name, one.weight, one.fit) for one in settings.controls] == [("ink.png", 1.0, "stretch")]


def test_what_a_picture_was_made_from_is_named_when_it_is_gone(run):
    assert run("a red house", "-c", "sketch=lines.png", "--out", "a.png").exit_code == 0
    Path("lines.png").unlink()
    done = run("--like", "a.png", "--out", "b.png")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "lines.png is not there (--control sketch=PICTURE)" in done.stderr
    assert not Path("b.png").exists()


@pytest.mark.parametrize("picture", ["lines.png", "gone.png", "text.png"])
def test_like_needs_a_picture_with_settings(run, picture):
    Path("text.png").write_text("no picture")
    done = run("--like", picture, "--out", "b.png")
    assert (done.exit_code, done.stderr.count("\n"), done.stderr[:10]) == (2, 1, "armature: ")


def test_every_prompt_of_a_file_on_one_base(run, monkeypatch):
    import armature.generation.models as home

    opened, really = [], home.open_base
    monkeypatch.setattr(home, "open_base", lambda *given, **named: opened.append(given) or really(*given, **named))
    Path("p.jsonl").write_text('{"prompt": "a house", "seed": 3}\n{"prompt": "a tree", "negative_prompt": "a cat"}\n')
    done = run("--prompts", "p.jsonl", "--seed", 9, "-c", "sketch=lines.png", "--out", "made/")
    assert (done.exit_code, done.stdout.split()) == (0, ["made/armature-1-3.png", "made/armature-2-9.png"]), done.stderr
    assert len(opened) == 1
    first, second = (read_settings(path) for path in done.stdout.split())
    assert (first.prompt, first.seed, first.negative) == ("a house", 3, "")
    assert (second.prompt, second.seed, second.negative) == ("a tree", 9, "a cat")
    # Alone, a prompt gives the same picture.
    assert run("a tree", "--negative", "a cat", "--seed", 9, "-c", "sketch=lines.png", "-o", "alone.png").exit_code == 0
    assert np.array_equal(pixels("alone.png"), pixels("made/armature-2-9.png"))


def test_a_grid_has_a_labelled_tile_for_every_picture(run):
    Path("p.txt").write_text("a house\na tree\n")
    done = run("--prompts", "p.txt", "--seed", 3, "--count", 3, "--grid", "--out", "a.png")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.split() == [*(f"a-{number}.png" for number in range(1, 7)), "a-grid.png"]
    sheet = pixels("a-grid.png")
    # A row for each prompt, a column for each seed; 64 px enlarged four times, a label of one line below.
    assert sheet.shape == (GAP + 2 * (256 + HEAD + GAP), GAP + 3 * (256 + GAP), 3)
    for index in range(6):
        x, y = GAP + index % 3 * (256 + GAP), GAP + index // 3 * (256 + HEAD + GAP)
        tile = sheet[y : y + 256, x : x + 256]
        assert np.array_equal(tile[1::4, 1::4], pixels(f"a-{index + 1}.png"))
        assert sheet[y + 256 : y + 256 + HEAD, x : x + 256].min() < 128
    with Image.open("a-grid.png") as image:
        record = json.loads(image.info["armature"])
    assert [(one["prompt"], one["seed"]) for one in record["of"]] == [
        (prompt, seed) for prompt in ("a house", "a tree") for seed in (3, 4, 5)
    ]
    assert "holds no settings of a generated picture" in run("--like", "a-grid.png").stderr


def test_json_is_one_line_a_prompt_and_one_for_the_grid(run):
    Path("p.txt").write_text("a house\na tree\n")
    done = run("--prompts", "p.txt", "--seed", 3, "--grid", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.get("written") for line in lines] == [["armature-1-3.png"], ["armature-2-3.png"], None]
    assert lines[2] == {"grid": "armature-grid.png"}
    assert lines[1]["settings"]["prompt"] == "a tree"
    assert done.stderr == ""


class Hand:
    """Stands for the time between two looks of --watch: each look, one more thing is done to the files."""

    def __init__(self, *deeds):
        self.deeds = list(deeds)

    def __call__(self, seconds):
        if not self.deeds:
            raise KeyboardInterrupt
        deed = self.deeds.pop(0)
        if deed is not None:
            deed()


def save(picture, name="lines.png"):
    picture.save(name)


def half():
    data = Path("ink.png").read_bytes()
    Path("lines.png").write_bytes(data[: len(data) // 2])


@pytest.fixture
def hand(monkeypatch):
    import armature.cli.watch as home

    def holding(*deeds):
        made = Hand(*deeds)
        really = home.watch
        monkeypatch.setattr(home, "watch", lambda *given: really(*given, sleep=made))
        return made

    return holding


def test_watch_draws_again_when_a_control_is_saved_and_ends_quietly(run, hand, monkeypatch):
    import armature.generation.models as home

    opened, really = [], home.open_base
    monkeypatch.setattr(home, "open_base", lambda *given, **named: opened.append(given) or really(*given, **named))
    before = []
    turned = ImageOps.mirror(Image.open("lines.png"))
    hand(None, lambda: before.append(pixels("a.png")), lambda: save(turned), None, None, None)
    done = run("a house", "-c", "sketch=lines.png", "--watch", "--out", "a.png")
    assert (done.exit_code, done.stdout) == (0, "a.png\na.png\n"), done.output
    assert "watching lines.png; Ctrl-C ends it." in done.stderr
    assert "Traceback" not in done.stderr
    assert "Abort" not in done.stderr
    assert len(opened) == 1
    # The seed was drawn by lot once: what changed is the drawing's doing.
    assert not np.array_equal(before[0], pixels("a.png"))
    seed = read_settings("a.png").seed
    assert run("a house", "-c", "sketch=lines.png", "--seed", seed, "--out", "b.png").exit_code == 0
    assert np.array_equal(pixels("a.png"), pixels("b.png"))


def test_watch_waits_for_a_half_saved_picture_and_says_nothing_of_it(run, hand):
    whole = Image.open("ink.png").copy()
    # Half is there when the drawing begins; the rest comes while it is tried again.
    hand(None, half, None, None, None, lambda: save(whole), None, None, None, None)
    done = run("a house", "-c", "sketch=lines.png", "--watch", "--out", "a.png")
    assert (done.exit_code, done.stdout.count("a.png\n")) == (0, 2), done.output
    assert "damaged" not in done.stderr


def test_watch_tells_a_picture_that_stays_wrong_in_one_line_and_goes_on(run, hand):
    good = Image.open("lines.png").copy()
    black = Image.new("L", (64, 64), 0)
    hand(None, lambda: save(black), *[None] * 8, lambda: save(good), *[None] * 4)
    done = run("a house", "-c", "sketch=lines.png", "--watch", "--out", "a.png")
    assert (done.exit_code, done.stdout.count("a.png\n")) == (0, 2), done.output
    assert [line for line in done.stderr.splitlines() if "black" in line] == [
        "armature: The sketch control is all black: it holds no line. Give white lines on black."
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "There is nothing to draw: give PROMPT, --prompts FILE, or --like PICTURE."),
        (["a house", "--prompts", "p.txt"], "PROMPT and --prompts are both given; give one of the two."),
        (["--prompts", "gone.txt"], "No prompts can be read from 'gone.txt': No such file or directory."),
        (["--prompts", "empty.txt"], "'empty.txt' holds no prompt; write one a line."),
        (["a house", "--watch"], "--watch waits for a picture that is saved, and there is none; add --control or"),
        (["a house", "--watch", "-c", "sketch=gone.png"], "there is none at 'gone.png'."),
        (["a house", "-c", "sketch=lines.png,fit=cover"], "fit is 'cover'; expected one of 'stretch', 'crop', 'pad'."),
        (["a house", "--watch", "-c", "sketch=lines.png", "--steps", "0"], "num_inference_steps is 0, expected"),
    ],
)
def test_bad_input_is_one_line(run, arguments, told):
    Path("p.txt").write_text("a house")
    Path("empty.txt").write_text("# nothing\n")
    before = sorted(Path().iterdir())
    done = run(*arguments, "--out", "a.png")
    assert (done.exit_code, done.stdout, done.stderr[:10]) == (2, "", "armature: ")
    assert told in done.stderr.splitlines()[-1]
    assert sorted(Path().iterdir()) == before
