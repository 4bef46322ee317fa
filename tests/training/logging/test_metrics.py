"""The log keeps whole lines only, in order, and forgets what a resumed training will write anew."""

import json

import pytest

from armature.errors import RecipeError
from armature.training.checkpoint.state import TrainerState
from armature.training.logging.metrics import NAME, MetricsLog, read_metrics, series


class Tracker:
    """What MetricsLog asks of Trackers."""

    def __init__(self):
        self.seen = []

    def log(self, step, figures):
        self.seen.append((step, dict(figures)))

    def rewind(self, step):
        self.seen.append(("rewind", step))

    def finish(self):
        self.seen.append("finished")


def filled(run, steps=(1, 2, 3)):
    with MetricsLog(run) as log:
        for step in steps:
            log.write(TrainerState(step, 8 * step, 0.5 * step), {"train/loss": 1 / step})


def test_a_line_is_one_object_that_others_can_read(tmp_path):
    filled(tmp_path / "run", (4,))
    text = (tmp_path / "run" / NAME).read_text()
    assert json.loads(text) == {"step": 4, "minutes": 2.0, "images": 32, "train/loss": 0.25}
    assert text.endswith("\n")


def test_figures_that_are_not_finite_become_null(tmp_path):
    tracker = Tracker()
    with MetricsLog(tmp_path, tracker) as log:
        log.write(TrainerState(1), {"train/loss": float("nan"), "held_out/loss": 0.5})
    assert read_metrics(tmp_path) == [
        {"step": 1, "minutes": 0.0, "images": 0, "train/loss": None, "held_out/loss": 0.5}
    ]
    assert tracker.seen == [(1, {"held_out/loss": 0.5}), "finished"]
    assert series(read_metrics(tmp_path), "train/loss") == []


def test_rewinding_drops_later_lines_and_writing_goes_on(tmp_path):
    filled(tmp_path)
    tracker = Tracker()
    with MetricsLog(tmp_path, tracker) as log:
        log.rewind(2)
        log.write(TrainerState(3), {"train/loss": 9.0})
    assert series(read_metrics(tmp_path), "train/loss") == [(1, 1.0), (2, 0.5), (3, 9.0)]
    assert tracker.seen[0] == ("rewind", 2)
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
        log.write(TrainerState(2), {"train/loss": 7.0})
    assert series(read_metrics(tmp_path), "train/loss") == [(1, 1.0), (2, 7.0)]


def test_no_log_has_no_lines(tmp_path):
    assert read_metrics(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RecipeError, match=r"run/metrics\.jsonl cannot be opened .*; choose another run folder"):
        MetricsLog(tmp_path / "run")
