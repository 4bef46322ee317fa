"""A loss or gradient that is not finite stops the training, names its samples, and is never saved."""

import pytest
import torch
from small_training import PositionBatches, newest, settings, train_small

from armature.errors import ArmatureError
from armature.training.trainer import nan_guard
from armature.training.trainer.distributed import Processes
from armature.training.trainer.nan_guard import WINDOW, NanGuard

GOOD = "The last good checkpoint is x."


def guard(steps, **options):
    one = NanGuard(Processes(), **options)
    for number, (losses, norm) in enumerate(steps, 1):
        for micro, loss in enumerate(losses):
            one.note_loss(number, [f"{number}.{micro}.a", f"{number}.{micro}.b"], torch.tensor(loss))
        one.note_norm(torch.tensor(norm))
    return one


def test_a_bad_sample_stops_the_training_before_anything_is_saved(tmp_path):
    train = settings(length="9 steps", batch=1, accumulate=2)
    # Positions 6 and 7 belong to step 4; only the micro-batch of the bad one is named.
    batches = PositionBatches(train, poison=7)
    words = (
        r"The loss of step 4 is not finite; its batch held the samples 'sample-7'\. Training stopped, and nothing was "
        r"saved since\. The last good checkpoint is .*step-00000003\. Look at these samples, or lower train\."
    )
    with pytest.raises(ArmatureError, match=words):
        train_small(tmp_path, train, batches, log="9 steps", save="3 steps")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000003"]
    assert all(torch.isfinite(value).all() for value in newest(tmp_path).learner.adapter.values())


def test_the_first_bad_step_is_named_and_only_its_bad_micro_batch():
    one = guard([([1.0, 2.0], 1.0), ([1.0, float("inf")], 1.0), ([float("nan")] * 2, float("nan"))])
    with pytest.raises(ArmatureError, match=r"The loss of step 2 .* samples '2\.1\.a', '2\.1\.b'\."):
        one.check_finite(GOOD)


def test_a_bad_gradient_names_the_whole_step():
    one = guard([([1.0, 2.0], float("nan"))])
    with pytest.raises(ArmatureError, match=r"The gradient of step 1 .* '1\.0\.a', '1\.0\.b', '1\.1\.a', '1\.1\.b'\."):
        one.check_finite(GOOD)


def test_under_a_scaler_infinite_gradients_are_skipped_and_counted():
    one = guard([([1.0], 2.0), ([3.0], float("inf"))], scaled=True)
    one.check_finite(GOOD)
    figures = one.figures()
    assert (figures.loss, figures.gradient_norm, figures.skipped) == (2.0, 2.0, 1)
    with pytest.raises(ArmatureError, match="The loss of step 1 is not finite"):
        guard([([float("nan")], 1.0)], scaled=True).check_finite(GOOD)


def test_a_scale_that_fell_to_nothing_stops():
    one = guard([])
    one.check_scale(1.0, GOOD)
    with pytest.raises(ArmatureError, match=r"Gradients overflow float16 at every scale \(now 1e-09\)"):
        one.check_scale(1e-9, GOOD)


def test_figures_are_means_since_the_last_ones():
    one = guard([([1.0, 2.0], 3.0), ([3.0, 6.0], 5.0)])
    one.check_finite(GOOD)
    figures = one.figures()
    assert (figures.loss, figures.gradient_norm, figures.skipped) == (3.0, 4.0, 0)
    assert one.figures() is None


def test_it_wants_to_check_now_and_then_by_itself():
    assert not guard([([1.0], 1.0)] * (WINDOW - 1)).full
    assert guard([([1.0], 1.0)] * WINDOW).full
    # So many steps may be lost to a loss that is not finite, however rarely a recipe logs and saves.
    assert WINDOW <= 100


def test_rare_logs_do_not_hide_a_bad_step(tmp_path, monkeypatch):
    monkeypatch.setattr(nan_guard, "WINDOW", 5)
    train = settings(length="1000 steps", batch=1)
    done = []
    with pytest.raises(ArmatureError, match="The loss of step 1 is not finite"):
        train_small(
            tmp_path,
            train,
            PositionBatches(train, poison=0),
            log="1000 steps",
            save="1000 steps",
            progress=lambda progress: done.append(progress.state.step),
        )
    assert done[-1] == 5
