"""The dry run: what a training would do, without a file written."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from armature.errors import DatasetError
from armature.training.plan import in_bytes, plan_training
from armature.training.prepare_data import prepare_data
from armature.training.recipe.load import load_recipe


def everything_under(folder):
    return sorted((str(path.relative_to(folder)), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def test_a_dry_run_counts_everything_and_writes_nothing(small_recipe, picture_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = everything_under(tmp_path), everything_under(picture_folder)
    plan = plan_training(load_recipe(small_recipe, ["length=3 epochs", "accumulate=2"]), device="cpu")
    assert (everything_under(tmp_path), everything_under(picture_folder)) == before
    assert (plan.samples, plan.held_out, plan.bad, plan.buckets) == (10, 2, {}, ((64, 64, 10),))
    # Ten samples make two steps of four; two are left over.
    assert (plan.samples_per_step, plan.steps_per_epoch, plan.steps, plan.images) == (4, 2, 6, 24)
    assert (plan.cache, plan.run) == ("absent", small_recipe["run"])
    assert [Path(folder).parent for folder in plan.cache_folders] == [tmp_path / "cache"] * 2
    assert plan.memory_bytes > sum(plan.memory.values())
    assert json.loads(json.dumps(asdict(plan)))["steps"] == 6
    words = dict(plan.in_words())
    assert words["base"] == "sd, sd, float32 on cpu"
    assert words["training"] == "3 epochs, 2 steps an epoch, 4 samples a step: 6 steps, 24 images"
    assert words["adapter"].startswith("canny, full, ")


def test_the_cache_is_found_and_is_no_larger_than_foretold(small_recipe):
    recipe = load_recipe(small_recipe)
    foretold = plan_training(recipe, device="cpu")
    prepared = prepare_data(recipe, device="cpu", progress=False)
    assert (prepared.samples, prepared.held_out, prepared.bad) == (12, 2, {})
    assert prepared.cache == foretold.cache_folders
    there = sum(path.stat().st_size for folder in prepared.cache for path in Path(folder).glob("shard-*.safetensors"))
    assert there <= foretold.cache_bytes
    plan = plan_training(recipe, device="cpu")
    assert (plan.cache, plan.cache_folders) == ("whole", prepared.cache)
    assert plan_training(load_recipe(recipe, ["cache.enabled=false"]), device="cpu").cache == "off"


def test_another_kind_finds_the_pictures_and_another_base_the_maps(small_recipe, base_folders):
    prepare_data(load_recipe(small_recipe), device="cpu", progress=False)
    other = plan_training(load_recipe(small_recipe, ["kind=color"]), device="cpu")
    assert other.cache == "pictures"
    assert "maps are to be made" in dict(other.in_words())["cache"]
    rounded = plan_training(load_recipe(small_recipe, ["base.precision=bfloat16"]), device="cpu")
    assert (rounded.cache, rounded.cache_folders[1]) == ("controls", plan_of(small_recipe).cache_folders[1])


def plan_of(recipe):
    return plan_training(load_recipe(recipe), device="cpu")


def test_minutes_have_no_number_of_steps(small_recipe):
    plan = plan_training(load_recipe(small_recipe, ["length=2 minutes", "cache.enabled=false"]), device="cpu")
    assert (plan.steps, plan.images, plan.length) == (None, None, "2 minutes")
    assert dict(plan.in_words())["training"] == "2 minutes, 5 steps an epoch, 2 samples a step"


def test_what_does_not_look_right_is_noted(small_recipe, base_folders, tmp_path):
    (tmp_path / "run" / "checkpoints" / "step-00000002").mkdir(parents=True)
    recipe = load_recipe(small_recipe, ["batch=16", "kind=color", f"init_from={base_folders['sketch']}"])
    notes = " ".join(plan_training(recipe, device="cpu").notes)
    assert "initialised anew: conv_in" in notes
    assert "has 10 samples and a step takes 16" in notes
    assert "holds checkpoints up to step-00000002: continue them with --resume" in notes


def test_bad_data_is_told_as_in_training(small_recipe, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty"):
        plan_training(load_recipe(small_recipe, [f"data={tmp_path / 'empty'}"]), device="cpu")


def test_sizes_in_words():
    assert [in_bytes(n) for n in (640, 1_200, 73_728, 5_000_000_000_000)] == ["640 B", "1.2 KB", "73.7 KB", "5 TB"]
