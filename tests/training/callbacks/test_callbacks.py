"""Callbacks tell what they measure, and leave no trace in the training that calls them."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from held_out_scenes import CONTRACT, HeldOutScenes
from PIL import Image
from small_bases import sd_adapter

from armature.bases.schedule import alphas_of
from armature.errors import ConditionError
from armature.evaluation.fidelity import Measure, fidelity_of
from armature.evaluation.sampler import PictureSampler
from armature.evaluation.sheet import sheet_size
from armature.injection.hooks import injected
from armature.training.callbacks.build import build_callbacks
from armature.training.callbacks.fidelity import ControlFidelityCallback
from armature.training.callbacks.held_out_loss import HeldOutLoss, HeldOutLossCallback
from armature.training.callbacks.preview import PreviewCallback, last_sheet
from armature.training.checkpoint.state import TrainerState
from armature.training.recipe.duration import Duration
from armature.training.recipe.model import Recipe

EVERY = Duration(10, "steps")


@pytest.fixture
def adapter():
    return sd_adapter().float()


def called(callback, adapter, step=0):
    return callback.on_due(TrainerState(step, 8 * step, 0.1 * step), adapter)


def loss_callback(base, batches):
    held_out = HeldOutLoss(base.pipeline.unet, alphas_of(base.pipeline.scheduler), "epsilon")
    return HeldOutLossCallback(EVERY, held_out, batches)


def fidelity_callback(base, batches, measure=None, count=4, **options):
    measure = measure or fidelity_of("sketch")
    return ControlFidelityCallback(EVERY, PictureSampler(base, steps=1), batches, CONTRACT, measure, count, **options)


def preview_callback(base, batches, folder, count=4):
    return PreviewCallback(EVERY, PictureSampler(base, steps=1), batches, CONTRACT, folder, count)


def every_callback(base, batches, folder):
    return [loss_callback(base, batches), fidelity_callback(base, batches), preview_callback(base, batches, folder)]


def test_callbacks_leave_no_trace(small_base, batches, adapter, tmp_path):
    unet = small_base.pipeline.unet
    adapter.train()
    for parameter in adapter.parameters():
        parameter.grad = torch.ones_like(parameter)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(7)
    with injected(unet) as injection:
        hooks = [(dict(part._forward_hooks), dict(part._forward_pre_hooks)) for part in unet.modules()]
        states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
        for callback in every_callback(small_base, batches, tmp_path):
            called(callback, adapter)
        assert [(dict(part._forward_hooks), dict(part._forward_pre_hooks)) for part in unet.modules()] == hooks
        assert random.getstate() == states[0]
        assert np.random.get_state()[1].tolist() == states[1]
        assert torch.equal(torch.get_rng_state(), states[2])
        # The training's own injection works on.
        injection.set(adapter(torch.rand(1, 1, 64, 64)))
    assert all(part.training for part in adapter.modules())
    assert not any(part.training for part in unet.modules())
    assert all(bool((parameter.grad == 1).all()) for parameter in adapter.parameters())
    assert not any(parameter.requires_grad for parameter in unet.parameters())


def test_the_held_out_loss_is_told_by_noise_level(small_base, batches, adapter):
    figures = called(loss_callback(small_base, batches), adapter)
    buckets = [f"held_out/t{low:03d}-{low + 250:03d}" for low in (0, 250, 500, 750)]
    assert list(figures) == ["held_out/loss", *buckets, "held_out/without"]
    assert figures["held_out/loss"] == pytest.approx(np.mean([figures[name] for name in buckets]))
    assert np.isfinite(list(figures.values())).all()


def test_fidelity_stands_between_without_and_ceiling(small_base, batches, adapter):
    callback = fidelity_callback(small_base, batches)
    figures = called(callback, adapter)
    assert set(figures) >= {"fidelity/edge_f1", "fidelity/edge_f1_without", "fidelity/edge_f1_ceiling"}
    assert all(0 <= figures[name] <= 1 for name in figures if "edge_f1" in name)
    assert called(callback, adapter, 10) == figures


def test_what_does_not_depend_on_the_adapter_is_drawn_once(small_base, adapter):
    batches = HeldOutScenes(small_base, 2, 2)
    callback = fidelity_callback(small_base, batches)
    first = called(callback, adapter)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.mul_(3)
    second = called(callback, adapter, 10)
    assert batches.asked == 1
    assert first["fidelity/edge_f1_without"] == second["fidelity/edge_f1_without"]
    assert first["fidelity/edge_f1"] != second["fidelity/edge_f1"]


def test_a_missing_extractor_is_noted_and_training_goes_on(small_base, batches, adapter):
    def missing(control, picture):
        raise ConditionError("The weights of depth are missing.")

    notes = []
    measure = Measure("depth_rmse", "RMSE", "lower", "depth", missing)
    callback = fidelity_callback(small_base, batches, measure, note=notes.append)
    assert called(callback, adapter) == called(callback, adapter, 10) == {}
    assert notes == ["Control fidelity is not measured: The weights of depth are missing."]


def test_controls_that_say_nothing_are_noted(small_base, batches, adapter):
    notes = []
    measure = Measure("edge_f1", "F1", "higher", "edges", lambda control, picture: 0.0, lambda control: False)
    callback = fidelity_callback(small_base, batches, measure, note=notes.append)
    assert called(callback, adapter) == {}
    assert notes == ["Control fidelity is not measured: no held-out control says anything."]


def test_previews_have_the_same_seeds_at_every_step(small_base, batches, adapter, tmp_path):
    callback = preview_callback(small_base, batches, tmp_path / "samples")
    for step in (0, 10):
        assert called(callback, adapter, step) == {}
    sheets = sorted((tmp_path / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == ["step-00000000.png", "step-00000010.png"]
    assert sheets[0].read_bytes() == sheets[1].read_bytes()
    assert last_sheet(tmp_path / "samples") == sheets[1]
    with Image.open(sheets[0]) as sheet:
        assert sheet.size == sheet_size(4, 4, (128, 128))


def recipe(**evaluated):
    return Recipe.model_validate(
        {
            "run": "run",
            "base": {"model": "embedded"},
            "adapter": {"kind": "sketch"},
            "data": {"source": "toyworld", "resolution": 128},
            "eval": evaluated,
        }
    )


def test_a_recipe_says_what_is_called(small_base, batches):
    def kinds(**evaluated):
        return [
            type(callback.callback) for callback in build_callbacks(recipe(**evaluated), small_base, CONTRACT, batches)
        ]

    assert kinds() == [HeldOutLossCallback, ControlFidelityCallback, PreviewCallback]
    assert kinds(fidelity_samples=0, preview_every="never") == [HeldOutLossCallback]
    assert kinds(every="never") == [PreviewCallback]


def test_previews_go_into_the_run_folder(small_base, batches):
    (on_device,) = build_callbacks(recipe(every="never"), small_base, CONTRACT, batches, run="there")
    assert isinstance(on_device.callback, PreviewCallback)
    assert on_device.callback.folder == Path("there/samples")
