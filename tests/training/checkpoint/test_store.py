"""Checkpoints are whole or not there: damage, full disks and kills cost at most the newest one."""

import errno
import json
from dataclasses import replace

import pytest
import torch
from small_training import differences

from armature.errors import CheckpointError
from armature.training.checkpoint import state as state_module
from armature.training.checkpoint.state import (
    Checkpoint,
    LearnerState,
    OptimizerState,
    TrainerState,
    facts_digest,
    read_checkpoint,
)
from armature.training.checkpoint.store import CheckpointStore


def checkpoint(step, ema=True):
    g = torch.Generator().manual_seed(step)
    tensor = torch.randn(3, 4, 2, 2, generator=g).to(memory_format=torch.channels_last)
    optimizer = OptimizerState({"w/exp_avg": tensor * 2, "w/step": torch.tensor(float(step))}, {"w/number": 3})
    learner = LearnerState({"w": tensor}, {"w": tensor + 1} if ema else None, optimizer, {"scale": 65536.0})
    return Checkpoint(TrainerState(step, step * 8, step / 3), learner, 8, "d", True)


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints", keep=3)


def names(store):
    return sorted(path.name for path in store.folder.iterdir())


@pytest.mark.parametrize("ema", [True, False])
def test_what_was_saved_comes_back_whole(store, ema):
    store.save(checkpoint(7, ema))
    loaded, notes = store.newest_whole()
    assert notes == []
    assert differences(loaded, checkpoint(7, ema)) == []
    learner = loaded.learner
    assert (loaded.state.minutes, learner.scaler) == (7 / 3, {"scale": 65536.0})
    assert learner.optimizer.scalars == {"w/number": 3}
    assert (learner.ema is None) is not ema


def test_the_last_ones_are_kept(store):
    for step in (10, 20, 30, 40, 100_000_000):
        store.save(checkpoint(step))
    assert names(store) == ["step-00000030", "step-00000040", "step-100000000"]
    assert store.newest_whole()[0].state.step == 100_000_000


def test_the_same_step_can_be_saved_again(store):
    store.save(checkpoint(5))
    store.save(replace(checkpoint(5), callbacks_called=False))
    assert names(store) == ["step-00000005"]
    assert store.newest_whole()[0].callbacks_called is False


def truncate(folder):
    path = folder / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    return "optimizer.safetensors has"


def flip(folder):
    path = folder / "ema.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    return "ema.safetensors is not what was written"


def remove(folder):
    (folder / "adapter.safetensors").unlink()
    return "adapter.safetensors cannot be read"


def alter(folder):
    path = folder / "state.json"
    path.write_text(path.read_text().replace('"images": 16', '"images": 17'))
    return "state.json is not what was written"


def cut(folder):
    (folder / "state.json").write_text('{"format": 2,')
    return "state.json cannot be read"


@pytest.mark.parametrize("damage", [truncate, flip, remove, alter, cut])
def test_a_damaged_newest_one_is_skipped_with_a_word(store, damage):
    store.save(checkpoint(1))
    words = damage(store.save(checkpoint(2)))
    loaded, notes = store.newest_whole()
    assert loaded.state.step == 1
    assert len(notes) == 1
    assert notes[0].startswith(f"step-00000002 is damaged and was skipped: {words}")


def test_a_newer_format_is_not_misread(store):
    folder = store.save(checkpoint(2))
    facts = json.loads((folder / "state.json").read_text())
    del facts["digest"]
    facts["format"] = 99
    facts["digest"] = facts_digest(facts)
    (folder / "state.json").write_text(json.dumps(facts))
    assert store.newest_whole() == (
        None,
        ["step-00000002 is damaged and was skipped: its format is 99, and this version of Armature reads 2."],
    )


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_full_disk_leaves_the_older_ones_and_nothing_half(store, monkeypatch, calls):
    store.save(checkpoint(1))
    real, count = state_module.save_file, 0

    def full(tensors, path):
        nonlocal count
        count += 1
        if count > calls:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(state_module, "save_file", full)
    words = r"step 2 cannot be written.*No space left on device.*step-00000001 is untouched; continue from it"
    with pytest.raises(CheckpointError, match=words):
        store.save(checkpoint(2))
    assert names(store) == ["step-00000001"]
    assert store.newest_whole()[0].state.step == 1


def test_what_a_kill_left_behind_does_not_count_and_goes(store):
    store.save(checkpoint(1))
    half = store.folder / ".step-00000002.abc"
    half.mkdir()
    (half / "adapter.safetensors").write_bytes(b"half")
    assert [path.name for path in store.all()] == ["step-00000001"]
    store.save(checkpoint(3))
    assert names(store) == ["step-00000001", "step-00000003"]


def test_damaged_ones_set_aside_do_not_push_out_new_ones(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", keep=4)
    for step in (1, 5, 6, 7):
        store.save(checkpoint(step))
    store.set_aside(1)
    store.save(checkpoint(2))
    assert [path.name for path in store.all()] == ["step-00000001", "step-00000002"]
    assert sum(name.startswith("damaged-step-0000000") for name in names(store)) == 3


def test_no_checkpoint_is_no_error(store):
    assert store.newest_whole() == (None, [])


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ([1], "state.json cannot be read"),
        ({"format": 2}, "does not say all that a checkpoint needs"),
        (
            {"format": 2, "files": {"../../secret": {"bytes": 1, "digest": ""}}},
            "names '../../secret', which is no file",
        ),
        ({"format": 2, "files": 5}, "does not say all that a checkpoint needs"),
    ],
)
def test_a_state_made_by_hand_is_told(store, facts, told):
    folder = store.save(checkpoint(5))
    whole = {**facts, "digest": facts_digest(facts)} if isinstance(facts, dict) else facts
    (folder / "state.json").write_text(json.dumps(whole))
    with pytest.raises(CheckpointError, match=told):
        read_checkpoint(folder)
    (folder / "state.json").write_text("[" * 100_000)
    assert "nested more than 64 deep" in store.newest_whole()[1][0]
