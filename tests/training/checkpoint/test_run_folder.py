"""A run folder belongs to one recipe; only what does not decide the training may change."""

import pytest
from test_store import checkpoint

from armature.errors import RecipeError
from armature.training.checkpoint.run_folder import RunFolder, recipe_digest

RECIPE = """
run = "{run}"
base = {{ model = "embedded" }}
adapter = {{ kind = "sketch" }}
data = {{ source = "pictures", extract = {{}} }}
[train]
length = "{length}"
learning_rate = {rate}
workers = {workers}
[checkpoint]
keep = {keep}
"""


def recipe(run="r", length="10 steps", rate=1e-5, workers=2, keep=3):
    return RECIPE.format(run=run, length=length, rate=rate, workers=workers, keep=keep)


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "run")


def test_a_new_folder_is_made_and_holds_the_recipe(run):
    assert run.claim(recipe()) == []
    assert run.recipe.read_text() == recipe()
    assert [path.name for path in run.path.iterdir()] == ["recipe.toml"]


def test_another_recipe_is_refused_and_the_difference_named(run):
    run.claim(recipe())
    with pytest.raises(RecipeError, match=r"another recipe: train.learning_rate was 1e-05, now 0.001\. Choose another"):
        run.claim(recipe(rate=1e-3), resume=True)
    assert run.recipe.read_text() == recipe()


def test_a_broken_recipe_is_another_one(run):
    run.claim(recipe())
    run.recipe.write_text("run = ")
    with pytest.raises(RecipeError, match=r"its recipe\.toml cannot be read"):
        run.claim(recipe())


def test_length_checkpoints_and_workers_may_change_and_are_told(run):
    run.claim(recipe())
    notes = run.claim(recipe(length="20 steps", workers=0, keep=5), resume=True)
    assert notes == [
        "Changed since the last run: checkpoint.keep was 3, now 5.",
        "Changed since the last run: train.length was '10 steps', now '20 steps'.",
        "Changed since the last run: train.workers was 2, now 0.",
    ]
    assert run.recipe.read_text() == recipe(length="20 steps", workers=0, keep=5)


def test_the_digest_follows_what_decides_the_training():
    assert recipe_digest(recipe()) == recipe_digest(recipe(run="s", length="3 epochs", workers=9, keep=1))
    assert recipe_digest(recipe()) != recipe_digest(recipe(rate=2e-5))


def test_a_digest_of_no_recipe_is_refused():
    with pytest.raises(RecipeError, match="The recipe is not valid"):
        recipe_digest("run = 3")


def test_checkpoints_are_neither_overwritten_nor_mixed_up(run):
    run.claim(recipe())
    run.store().save(checkpoint(4))
    with pytest.raises(
        RecipeError, match=r"up to step-00000004\. Continue them with --resume, .* --force, which removes"
    ):
        run.claim(recipe())
    run.claim(recipe(), resume=True)
    assert run.store().newest_whole()[0].state.step == 4
    run.claim(recipe(), force=True)
    assert run.store().all() == []


def test_force_takes_a_folder_over_and_resume_with_it_goes_on(run):
    run.claim(recipe())
    run.store().save(checkpoint(4))
    run.claim(recipe(rate=1e-3), resume=True, force=True)
    assert run.store().newest_whole()[0].state.step == 4
    assert run.recipe.read_text() == recipe(rate=1e-3)


def test_a_folder_that_cannot_be_made_is_an_error_with_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="cannot be written to"):
        RunFolder(tmp_path / "file" / "run").claim(recipe())
