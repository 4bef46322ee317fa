"""A training that was interrupted ends with the bits of one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_training import Notebook, PositionBatches, differences, newest, settings, train_small
from test_trainer import Onlooker

from armature.errors import CheckpointError, RecipeError
from armature.training.checkpoint import state as state_module
from armature.training.checkpoint.run_folder import RunFolder
from armature.training.trainer.interrupt import TrainingStoppedError

LENGTH = 7


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The last state of an uninterrupted training of 7 steps."""
    run = tmp_path_factory.mktemp("whole")
    train_small(run, settings(length=f"{LENGTH} steps"), save="1 step", keep=LENGTH)
    return newest(run)


class Killed(BaseException):
    """Ends a training where nothing is saved any more."""


def killed_at(step):
    """A progress callback that ends the program's training after a step."""

    def tell(progress):
        if progress.state.step == step:
            raise Killed

    return tell


def go_on(run, **options):
    train = settings(length=f"{LENGTH} steps", **options.pop("train", {}))
    return train_small(run, train, save="2 steps", resume=True, **options)


@pytest.mark.parametrize("step", [1, 2, 3, 6])
def test_resumed_anywhere_it_ends_bit_identical(tmp_path, whole, step):
    with pytest.raises(Killed):
        go_on(tmp_path, progress=killed_at(step))
    batches = PositionBatches(settings())
    book = Notebook()
    go_on(tmp_path, batches=batches, metrics=book)
    # What was done since the last checkpoint, at an even step, is done again.
    assert batches.starts == book.rewinds == [2 * ((step - 1) // 2)]
    assert differences(newest(tmp_path), whole) == []


def test_resumed_again_and_again_it_ends_bit_identical(tmp_path, whole):
    for step in (3, 5, 6):
        with pytest.raises(Killed):
            go_on(tmp_path, progress=killed_at(step))
    go_on(tmp_path)
    assert differences(newest(tmp_path), whole) == []


def test_micro_batches_resume_too(tmp_path):
    halves = {"batch": 1, "accumulate": 2}
    go_on(tmp_path / "whole", train=halves)
    with pytest.raises(Killed):
        go_on(tmp_path / "cut", train=halves, progress=killed_at(5))
    go_on(tmp_path / "cut", train=halves)
    assert differences(newest(tmp_path / "cut"), newest(tmp_path / "whole")) == []


def test_eight_bit_adamw_resumes_bit_identical(tmp_path):
    eight = {"optimizer": "adamw8bit"}
    go_on(tmp_path / "whole", train=eight)
    with pytest.raises(Killed):
        go_on(tmp_path / "cut", train=eight, progress=killed_at(5))
    go_on(tmp_path / "cut", train=eight)
    last = newest(tmp_path / "cut")
    assert any(tensor.dtype == torch.uint8 for tensor in last.learner.optimizer.tensors.values())
    assert differences(last, newest(tmp_path / "whole")) == []


def test_a_finished_training_is_not_trained_any_further(tmp_path, whole):
    go_on(tmp_path)
    batches = PositionBatches(settings(), before=lambda position: pytest.fail("a sample was asked for"))
    onlooker = Onlooker()
    adapter = go_on(tmp_path, batches=batches, callbacks=[onlooker])
    assert onlooker.calls == []
    assert all(torch.equal(value, whole.learner.ema[name]) for name, value in adapter.state_dict().items())


def test_a_damaged_newest_checkpoint_costs_the_steps_since_the_one_before(tmp_path, whole):
    with pytest.raises(Killed):
        go_on(tmp_path, progress=killed_at(5))
    path = RunFolder(tmp_path).store().all()[-1] / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    batches = PositionBatches(settings())
    go_on(tmp_path, batches=batches)
    assert batches.starts == [2]
    assert differences(newest(tmp_path), whole) == []
    assert any(path.name.startswith("damaged-step-00000004") for path in (tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_saves_and_says_so(tmp_path, whole, number):
    def send(progress):
        if progress.state.step == 3:
            os.kill(os.getpid(), number)

    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    words = r"Stopped by (SIGTERM|an interrupt) after step 3; its checkpoint is saved\. Continue with --resume\."
    with pytest.raises(TrainingStoppedError, match=words) as stopped:
        go_on(tmp_path, progress=send)
    assert stopped.value.status == 128 + number
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert newest(tmp_path).state.step == 3
    go_on(tmp_path)
    assert differences(newest(tmp_path), whole) == []


def test_callbacks_that_a_signal_passed_over_are_called_after_resuming(tmp_path):
    def send(progress):
        if progress.state.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    first, second, third = Onlooker("3 steps"), Onlooker("3 steps"), Onlooker("3 steps")
    with pytest.raises(TrainingStoppedError):
        go_on(tmp_path, callbacks=[first], progress=send)
    assert [call[0] for call in first.calls] == [0]
    assert not newest(tmp_path).callbacks_called
    with pytest.raises(Killed):
        go_on(tmp_path, callbacks=[second], progress=killed_at(4))
    assert [call[0] for call in second.calls] == [3]
    assert (newest(tmp_path).state.step, newest(tmp_path).callbacks_called) == (3, True)
    go_on(tmp_path, callbacks=[third])
    assert [call[0] for call in third.calls] == [6, 7]


def test_a_full_disk_ends_the_training_and_costs_no_checkpoint(tmp_path, whole, monkeypatch):
    real = state_module.save_file

    def full(tensors, path):
        if "step-00000004" in str(path) and "optimizer" in path.name:
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(state_module, "save_file", full)
    with pytest.raises(CheckpointError, match=r"checkpoint of step 4 cannot be written .* step-00000002 is untouched"):
        go_on(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000002"]
    monkeypatch.setattr(state_module, "save_file", real)
    go_on(tmp_path)
    assert differences(newest(tmp_path), whole) == []


def test_another_number_of_samples_a_step_is_refused(tmp_path):
    go_on(tmp_path)
    words = r"learned from 2 samples a step; now 1 processes x batch 2 x accumulate 2 make 4\. Choose numbers"
    with pytest.raises(RecipeError, match=words):
        go_on(tmp_path, train={"accumulate": 2})


def test_an_average_can_be_begun_on_resuming(tmp_path):
    train_small(tmp_path, settings(ema=0.0, length="2 steps"))
    go_on(tmp_path, train={"ema": 0.9})
    assert newest(tmp_path).learner.ema is not None


SCRIPT = """
import sys, time
sys.path.insert(0, sys.argv[2])
from small_training import PositionBatches, settings, train_small
train = settings(length="7 steps")
batches = PositionBatches(train, before=lambda position: time.sleep(0.02))
train_small(sys.argv[1], train, batches, save="1 step", keep=2, resume=True)
"""


def test_killed_at_a_random_moment_it_ends_bit_identical(tmp_path, whole):
    program = [sys.executable, "-c", SCRIPT, str(tmp_path), str(Path(__file__).parents[1])]
    training = subprocess.Popen(program, stderr=subprocess.DEVNULL)
    try:
        while training.poll() is None and not RunFolder(tmp_path).store().all():
            time.sleep(0.005)
        # A moment within the next steps: in a step, in a save, or between them.
        time.sleep(random.uniform(0, 0.3))
    finally:
        training.kill()
        training.wait()
    go_on(tmp_path)
    assert differences(newest(tmp_path), whole) == []
