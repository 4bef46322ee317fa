"""A whole training in small: from a folder of pictures to files that others load."""

from pathlib import Path

import diffusers
import pytest
import torch

import armature
from armature.checkpoints.load import load_adapter
from armature.errors import DatasetError, RecipeError
from armature.training.logging.metrics import read_metrics, series
from armature.training.recipe.load import load_recipe
from armature.training.train import run_training


def weights(folder):
    return load_adapter(folder).state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_from_a_folder_of_pictures_to_an_adapter_that_others_load(small_recipe, capfd):
    evaluated = [
        "eval.every=2 steps",
        "preview_every=2 steps",
        "eval.steps=2",
        "preview_samples=2",
        "fidelity_samples=1",
    ]
    folder = armature.train(small_recipe, evaluated, progress=True)
    run = Path(small_recipe["run"])
    assert folder == run / "adapter"
    adapter = armature.load_adapter(folder)
    assert (adapter.card.kind, adapter.card.family, adapter.spec.blocks) == ("canny", "sd", 1)
    theirs = diffusers.T2IAdapter.from_pretrained(folder)
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in adapter.parameters())
    assert same(load_adapter(run / "adapter-original.safetensors").state_dict(), adapter.state_dict())
    assert load_recipe(run / "recipe.toml") == load_recipe(small_recipe, evaluated)
    lines = read_metrics(run)
    assert [step for step, _ in series(lines, "train/loss")] == [1, 2, 3]
    assert [step for step, _ in series(lines, "held_out/loss")] == [0, 2, 3]
    sheets = sorted(path.name for path in (run / "samples").iterdir())
    assert sheets == ["step-00000000.png", "step-00000002.png", "step-00000003.png"]
    assert "canny" in (folder / "README.md").read_text()
    out, shown = capfd.readouterr()
    assert out == ""
    assert "preparing 12/12" in shown
    assert "training step 3/3, loss " in shown


def test_training_goes_on_where_it_ended_as_if_it_had_not_stopped(small_recipe, tmp_path):
    whole = armature.train(small_recipe, ["length=4 steps", f"run={tmp_path / 'whole'}"], progress=False)
    armature.train(small_recipe, ["length=2 steps"], progress=False)
    halves = armature.train(small_recipe, ["length=4 steps"], resume=True, progress=False)
    assert same(weights(whole), weights(halves))


def test_a_run_folder_is_not_overwritten_by_accident(small_recipe):
    done = run_training(load_recipe(small_recipe), progress=False)
    assert (done.state.step, done.state.images, done.first) == (3, 6, True)
    with pytest.raises(RecipeError, match="already holds checkpoints up to step-00000003"):
        armature.train(small_recipe, progress=False)
    with pytest.raises(RecipeError, match=r"holds the training of another recipe: train.seed was 0, now 1"):
        armature.train(small_recipe, ["seed=1"], resume=True, progress=False)
    before = weights(done.adapter)
    forced = armature.train(small_recipe, ["seed=1"], force=True, progress=False)
    assert not same(before, weights(forced))


def test_without_a_cache_nothing_is_cached(small_recipe, tmp_path):
    folder = armature.train(small_recipe, ["cache.enabled=false", "length=1 step"], progress=False)
    assert (folder / "config.json").is_file()
    assert not (tmp_path / "cache").exists()


def test_sdxl(small_recipe, base_folders):
    folder = armature.train(
        small_recipe,
        [f"base={base_folders['sdxl']}", "length=1 step", "preview_every=1 step", "eval.steps=2"],
        progress=False,
    )
    adapter = armature.load_adapter(folder)
    assert (adapter.spec.network, adapter.card.family) == ("full_xl", "sdxl")


def test_samples_that_cannot_be_used_are_told(small_recipe, picture_folder, tmp_path, capfd):
    import shutil

    shutil.copytree(picture_folder, tmp_path / "pictures")
    broken = tmp_path / "pictures" / "ball-3.png"
    broken.write_bytes(broken.read_bytes()[:300])
    (tmp_path / "pictures" / "ball-4.txt").write_text(" \n")
    overrides = [f"data={tmp_path / 'pictures'}", "bad_share=0.5", "length=1 step"]
    armature.train(small_recipe, overrides, progress=True)
    shown = capfd.readouterr().err
    assert "note: 2 samples cannot be used and are left out." in shown
    assert "ball-3" in shown
    assert "ball-4" in shown
    with pytest.raises(DatasetError, match=r"1 of 12 samples .* are bad, more than data.bad_share = 0.05 allows"):
        armature.train(small_recipe, [overrides[0], f"run={tmp_path / 'strict'}"], progress=False)


@pytest.mark.parametrize("override", ["base=nowhere", "network=light divisor=5", "data=nowhere", "held_out=12"])
def test_what_cannot_be_trained_leaves_no_run_folder(small_recipe, override):
    with pytest.raises(armature.ArmatureError):
        armature.train(small_recipe, override.split(), progress=False)
    assert not Path(small_recipe["run"]).exists()


def test_a_base_with_a_tiny_autoencoder_is_trained_on(small_recipe, tmp_path):
    from tiny_base import tiny_pipeline

    tiny_pipeline().save_pretrained(tmp_path / "tiny")
    wanted = ["eval.every=3 steps", "eval.steps=1", "preview_samples=1", "fidelity_samples=1"]
    folder = armature.train(small_recipe, [f"base={tmp_path / 'tiny'}", *wanted], progress=False)
    assert armature.load_adapter(folder).card.family == "sd"
    held_out = series(read_metrics(Path(small_recipe["run"])), "held_out/loss")
    assert [step for step, _ in held_out][-1] == 3


def test_a_single_file_is_trained_on_with_a_folder_for_its_configuration(small_recipe, base_folders, tmp_path):
    from original_layout import original_state
    from safetensors.torch import save_file

    from armature.bases.open import open_base

    save_file(original_state(open_base(base_folders["sd"]).pipeline), tmp_path / "base.safetensors")
    told = [f"base={tmp_path / 'base.safetensors'}", f"base.config={base_folders['sd']}"]
    by_file = armature.train(small_recipe, [*told, f"run={tmp_path / 'by_file'}"], progress=False)
    assert same(weights(by_file), weights(armature.train(small_recipe, progress=False)))
