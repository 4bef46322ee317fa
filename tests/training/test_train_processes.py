"""The whole program in two processes of a launcher, against one process with twice the batch."""

import os
import subprocess
import sys

import pytest
import torch

import armature
from armature.training.recipe.describe import recipe_text
from armature.training.recipe.load import load_recipe

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# Without the variable, accelerate starts several CPU processes through MPI only.
ACCELERATE = ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_processes", "2"]
ACCELERATE += ["--num_machines", "1", "--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"]


@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_two_processes_equal_one_with_twice_the_batch(launcher, small_recipe, tmp_path):
    recipe = load_recipe(small_recipe, ["length=2 steps", f"run={tmp_path / 'two'}", "cache.shard=3"])
    (tmp_path / "recipe.toml").write_text(recipe_text(recipe))
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "armature", "train", str(tmp_path / "recipe.toml")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr
    # One process speaks for both.
    assert done.stdout == f"{tmp_path / 'two' / 'adapter'}\n"
    # The cache that the two filled together is found by the one.
    one = armature.train(recipe, [f"run={tmp_path / 'one'}", "train.batch=4"], progress=False)
    first, second = (armature.load_adapter(tmp_path / name / "adapter").state_dict() for name in ("one", "two"))
    assert one == tmp_path / "one" / "adapter"
    assert sorted(path.name.partition("-")[0] for path in (tmp_path / "cache").iterdir()) == ["controls", "pictures"]
    for name in first:
        # The files are in half precision, with steps of about 1e-4 at the size of these weights.
        torch.testing.assert_close(first[name].float(), second[name].float(), rtol=1e-3, atol=1e-4)
