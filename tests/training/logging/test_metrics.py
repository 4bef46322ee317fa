"""The log keeps whole lines only, in order, and forgets what a resumed training will write anew."""

import json
import sys
import types

import pytest

from armature.errors import RecipeError
from armature.training.logging.metrics import NAME, MetricsLog, read_metrics, series
from armature.training.logging.trackers import open_boards


class Board:
    def __init__(self):
        self.seen = []

    def write(self, step, figures):
        self.seen.append((step, dict(figures)))

    def rewind(self, step):
        self.seen.append(("rewind", step))

    def close(self):
        self.seen.append("closed")


def filled(run, steps=(1, 2, 3)):
    with MetricsLog(run) as log:
        for step in steps:
            log.write(step, {"train/loss": 1 / step}, minutes=0.5 * step, images=8 * step)


def test_a_line_is_one_object_that_others_can_read(tmp_path):
    filled(tmp_path / "run", (4,))
    text = (tmp_path / "run" / NAME).read_text()
    assert json.loads(text) == {"step": 4, "minutes": 2.0, "images": 32, "train/loss": 0.25}
    assert text.endswith("\n")


def test_figures_that_are_not_finite_become_null(tmp_path):
    board = Board()
    with MetricsLog(tmp_path, (board,)) as log:
        log.write(1, {"train/loss": float("nan"), "held_out/loss": 0.5})
    assert read_metrics(tmp_path) == [{"step": 1, "train/loss": None, "held_out/loss": 0.5}]
    assert board.seen == [(1, {"held_out/loss": 0.5}), "closed"]
    assert series(read_metrics(tmp_path), "train/loss") == []


def test_rewinding_drops_later_lines_and_writing_goes_on(tmp_path):
    filled(tmp_path)
    board = Board()
    with MetricsLog(tmp_path, (board,)) as log:
        log.rewind(2)
        log.write(3, {"train/loss": 9.0})
    assert series(read_metrics(tmp_path), "train/loss") == [(1, 1.0), (2, 0.5), (3, 9.0)]
    assert board.seen[0] == ("rewind", 2)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_what_a_kill_left_of_a_line_is_dropped(tmp_path):
    filled(tmp_path)
    path = tmp_path / NAME
    path.write_text(path.read_text()[:-9])
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2]
    filled(tmp_path, (3, 4))
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4]


def test_a_step_that_was_written_twice_has_its_later_value(tmp_path):
    filled(tmp_path, (1, 2))
    with MetricsLog(tmp_path) as log:
        log.write(2, {"train/loss": 7.0})
    assert series(read_metrics(tmp_path), "train/loss") == [(1, 1.0), (2, 7.0)]


def test_no_log_has_no_lines(tmp_path):
    assert read_metrics(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RecipeError, match=r"run/metrics\.jsonl cannot be opened .*; choose another run folder"):
        MetricsLog(tmp_path / "run")


def boards(tmp_path, notes, **wanted):
    return open_boards(tmp_path, **{"tensorboard": False, "wandb": False, **wanted}, settings={}, note=notes.append)


def test_boards_that_are_not_installed_are_named(tmp_path, monkeypatch):
    for name in ("torch.utils.tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
    notes = []
    assert boards(tmp_path, notes, tensorboard=True) == ()
    assert "TensorBoard is not installed, so the figures go into metrics.jsonl alone" in notes[0]
    with pytest.raises(RecipeError, match=r"watch\.wandb is true and wandb is not installed: pip install wandb"):
        boards(tmp_path, notes, wandb=True)
    assert boards(tmp_path, notes) == ()


def test_boards_are_told_the_figures(tmp_path, monkeypatch):
    calls = []

    class Writer:
        def __init__(self, folder, purge_step=None):
            calls.append(("open", purge_step))

        def add_scalar(self, name, value, step):
            calls.append((name, value, step))

        def close(self):
            calls.append("close")

    class Run:
        def define_metric(self, *names, **options):
            pass

        def log(self, figures):
            calls.append(figures)

        def finish(self):
            calls.append("finish")

    started = []
    wandb = types.SimpleNamespace(init=lambda **options: started.append(options) or Run())
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for board in (one := boards(tmp_path, [], tensorboard=True, wandb=True)):
        board.write(5, {"train/loss": 0.5})
        board.rewind(3)
        board.close()
    assert len(one) == 2
    assert calls == [
        ("open", None), ("train/loss", 0.5, 5), "close", ("open", 4), "close", {"step": 5, "train/loss": 0.5}, "finish",
    ]  # fmt: skip
    boards(tmp_path, [], wandb=True)
    assert started[0]["id"] == started[1]["id"]
    assert started[0]["resume"] == "allow"
