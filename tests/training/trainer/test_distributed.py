"""Two processes learn what one learns from the doubled batch, and stop, fail and resume together."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_training import differences, newest, settings, small_adapter, train_small

from armature.errors import ArmatureError
from armature.training.trainer.distributed import Processes


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(folder of their runs, what each of two gloo processes told)."""
    folder = tmp_path_factory.mktemp("pair")
    script = Path(__file__).parents[1] / "two_processes.py"
    common = {
        **os.environ,
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "OMP_NUM_THREADS": "1",
    }
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    words = [process.communicate(timeout=300)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(words)
    return folder, [json.loads((folder / f"told-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("name", ["plain", "micro"])
def test_two_processes_equal_one_with_the_doubled_batch(pair, tmp_path, name):
    folder, told = pair
    assert [one[name] for one in told] == [None, None]
    train_small(tmp_path, settings(length="4 steps", batch=4))
    one, two = newest(tmp_path), newest(folder / name)
    assert [(c.state.step, c.state.images, c.images_per_step) for c in (one, two)] == [(4, 16, 4)] * 2
    start = small_adapter().state_dict()
    # Sums in another order differ by 1e-6 or so; Adam divides by the gradient's size, which turns the rounding of
    # gradients near zero into a part of a step. Another sample anywhere would change everything by its own size.
    for key, value in one.learner.adapter.items():
        assert (value - two.learner.adapter[key]).norm() < 2e-3 * (value - start[key]).norm(), key
    for key, value in one.learner.optimizer.tensors.items():
        assert (value - two.learner.optimizer.tensors[key]).norm() <= 2e-3 * value.norm(), key


def test_a_signal_to_one_stops_both_at_the_same_step_and_they_resume_bit_identical(pair):
    folder, told = pair
    assert told[0]["stopped"] == told[1]["stopped"]
    assert told[0]["stopped"].startswith(
        "TrainingStoppedError: Stopped by SIGTERM after step 2; its checkpoint is saved"
    )
    assert [one["resumed"] for one in told] == [None, None]
    assert differences(newest(folder / "stopped"), newest(folder / "plain")) == []


def test_a_bad_sample_of_one_is_named_by_both(pair):
    folder, told = pair
    assert told[0]["poisoned"] == told[1]["poisoned"]
    assert "The loss of step 2 is not finite; its batch held the samples 'sample-6', 'sample-7'." in told[0]["poisoned"]
    assert not (folder / "poisoned" / "checkpoints").exists()


def test_a_failure_of_the_first_does_not_leave_the_other_waiting(pair):
    _, told = pair
    assert told[0]["refused"] == "OSError: the preview fell over"
    assert told[1]["refused"] == "ArmatureError: The first process failed: the preview fell over"


def test_minutes_end_both_at_the_same_step(pair):
    _, told = pair
    assert [one["timed"] for one in told] == [None, None]
    assert told[0]["timed step"] == told[1]["timed step"]


def test_words_reach_all(pair):
    _, told = pair
    assert [(one["rank"], one["world"]) for one in told] == [(0, 2), (1, 2)]
    assert all(one["gathered"] == [0, 1] and one["mean"] == [0.5] for one in told)


def test_a_lone_process_is_first_and_waits_for_nobody():
    one = Processes.join("cpu")
    assert (one.rank, one.world, one.first, one.device.type) == (0, 1, True, "cpu")
    one.barrier()
    assert one.most(2.0, 3.0) == (2.0, 3.0) == one.mean(2.0, 3.0)
    assert one.in_first(lambda: 5) == 5
    with pytest.raises(ArmatureError, match="as it is"):
        one.in_first(lambda: (_ for _ in ()).throw(ArmatureError("as it is")))
    one.leave()
