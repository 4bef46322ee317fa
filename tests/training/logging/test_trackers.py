"""TensorBoard's files hold the figures, rewound where a training is resumed; W&B is asked for by name."""

import sys
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from armature.errors import RecipeError
from armature.training.logging.trackers import open_trackers


def trackers(run, notes=None, **wanted):
    wanted = {"tensorboard": False, "wandb": False, **wanted}
    return open_trackers(run, **wanted, settings={"run": "x"}, note=(notes or []).append)


def shown(run, name):
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_shows_the_figures_by_step(tmp_path):
    one = trackers(tmp_path, tensorboard=True)
    for step in (1, 2):
        one.log(step, {"train/loss": step / 4})
    one.finish()
    assert shown(tmp_path, "train/loss") == [(1, 0.25), (2, 0.5)]


def test_what_a_resumed_training_tells_anew_is_shown_once(tmp_path):
    one = trackers(tmp_path, tensorboard=True)
    for step in (1, 2, 3):
        one.log(step, {"train/loss": 1.0})
    one.finish()
    again = trackers(tmp_path, tensorboard=True)
    again.rewind(1)
    again.log(2, {"train/loss": 0.5})
    again.finish()
    assert shown(tmp_path, "train/loss") == [(1, 1.0), (2, 0.5)]


def test_without_any_nothing_is_written(tmp_path):
    one = trackers(tmp_path)
    one.log(1, {"train/loss": 1.0})
    one.rewind(0)
    one.finish()
    assert list(tmp_path.iterdir()) == []


def test_trackers_that_are_not_installed_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("armature.training.logging.trackers.find_spec", lambda name: None)
    notes = []
    one = open_trackers(tmp_path, tensorboard=True, wandb=False, settings={}, note=notes.append)
    one.log(1, {"train/loss": 1.0})
    assert "TensorBoard is not installed, so the figures go into metrics.jsonl alone" in notes[0]
    with pytest.raises(RecipeError, match=r"logging\.wandb is true and wandb is not installed: pip install wandb"):
        trackers(tmp_path, wandb=True)


@pytest.fixture
def wandb(monkeypatch):
    """A W&B that keeps what it is told: how runs were begun, and what was logged."""
    begun, told = [], []

    class Run:
        def define_metric(self, *names, **options):
            pass

        def log(self, figures, step=None):
            told.append((step, figures))

        def finish(self):
            told.append("finished")

    module = SimpleNamespace(init=lambda **options: begun.append(options) or Run(), __spec__=SimpleNamespace())
    monkeypatch.setitem(sys.modules, "wandb", module)
    return SimpleNamespace(begun=begun, told=told, module=module)


def test_a_resumed_training_goes_on_with_its_run_at_weights_and_biases(tmp_path, wandb):
    for loss in (0.5, 0.25):
        one = trackers(tmp_path, wandb=True)
        one.log(5, {"train/loss": loss})
        one.rewind(3)
        one.finish()
    # Its own step must rise, and step 5 is told twice: the step is a figure among others.
    assert wandb.told == [
        (None, {"step": 5, "train/loss": 0.5}),
        "finished",
        (None, {"step": 5, "train/loss": 0.25}),
        "finished",
    ]
    first, second = wandb.begun
    assert first == second
    assert (first["project"], first["name"], first["resume"]) == ("armature", tmp_path.name, "allow")
    assert first["config"] == {"run": "x"}


def test_a_refusal_of_weights_and_biases_is_told_in_words(tmp_path, wandb):
    def refused(**options):
        raise RuntimeError("no key")

    wandb.module.init = refused
    with pytest.raises(RecipeError, match=r"Weights & Biases cannot be used \(no key\); log in, or say logging\.wandb"):
        trackers(tmp_path, wandb=True)
