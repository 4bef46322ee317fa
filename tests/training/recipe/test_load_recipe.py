"""Reading recipes: all mistakes together, overrides, and recipes written back."""

import re
import tomllib
from pathlib import Path

import pytest

from armature.errors import RecipeError
from armature.training.recipe.describe import recipe_keys, recipe_text
from armature.training.recipe.load import RecipeMistakesError, load_recipe
from armature.training.recipe.model import Recipe
from armature.training.recipe.names import RENAMED, nearest_key

LEAST = {"run": "runs/x", "base": {"model": "embedded"}, "adapter": {"kind": "canny"}, "data": {"source": "toyworld"}}


def mistakes(source, *overrides):
    with pytest.raises(RecipeMistakesError) as caught:
        load_recipe(source, overrides)
    return caught.value.mistakes


def test_the_least_recipe_is_complete_with_defaults():
    recipe = load_recipe(LEAST)
    assert isinstance(recipe, Recipe)
    assert recipe.train.batch == 8
    assert str(recipe.train.length) == "10000 steps"


def test_all_mistakes_of_a_file_are_told_together(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text(
        """
        rum = "x"
        [base]
        model = 3
        [adapter]
        kind = "canny"
        channels = 2
        [data]
        resolution = "512"
        hand_drown = 0.5
        held_out = 0
        extract = { low = [1, 2, 3] }
        [train]
        lr = 1e-4
        batch = 0
        length = 500
        betas = [0.9, 1.0]
        timestep_range = [500, 400]
        compile = 1
        learning_rate = inf
        [eval]
        every = "nver"
        [watch]
        save = "1 step"
        [loging]
        every = "1 step"
        """
    )
    found = mistakes(file, "bach=3", "steps=3", "train")
    expected = [
        "bach is no key of a recipe; did you mean train.batch?",
        "steps may mean several things; write train.length='1000 steps'",
        "'train' is no override; write key=value, as in train.batch=4",
        "rum is unknown; did you mean run?",
        "data.hand_drown is unknown; did you mean data.hand_drawn?",
        "train.lr is unknown; did you mean train.learning_rate?",
        "watch.save is now called checkpoint.every",
        "[loging] is no table of a recipe; expected base, adapter, data, cache, train, logging, eval, checkpoint",
        "run is missing; expected the folder of the training's results",
        "base.model is 3; expected text",
        "adapter.channels is 2; expected one of 1, 3",
        "data.source is missing; expected a folder, a shard pattern, a data set's hub id or folder on disk, or "
        '"toyworld"',
        "data.extract.low is [1, 2, 3]; expected a value, or two numbers [low, high]",
        'data.resolution is "512"; expected a whole number, at least 64, at most 4096',
        "train.length: 500 is no length; write a number with its unit, as in '500 steps' or '3 epochs'",
        "train.batch is 0; expected a whole number, at least 1",
        "train.learning_rate is inf; expected a number, above 0, at most 1",
        "train.betas is [0.9, 1.0]; expected two numbers [a, b], each a number, at least 0, below 1",
        "train.timestep_range: [500, 400] is no range; expected 0 <= from < to <= 1000",
        "train.compile is 1; expected true or false",
        "eval.every: 'nver' is no length; write a number with its unit, as in '500 steps' or '3 epochs'",
        # Rules between keys are looked at although single keys are wrong.
        "eval.every needs held-out samples; give data.held_out, or eval.every = 'never'",
        "eval.preview_every needs held-out samples; give data.held_out, or eval.preview_every = 'never'",
    ]
    assert sorted(found) == sorted(expected)


def test_the_error_names_the_file_and_counts(tmp_path):
    file = tmp_path / "one.toml"
    file.write_text(
        'run = "x"\n[base]\nmodel = "embedded"\n[adapter]\nkind = "canny"\n[data]\nsource = "a"\nflop = 1\n'
    )
    with pytest.raises(
        RecipeMistakesError, match=re.escape(f"{file} has 1 mistake:\n  data.flop is unknown")
    ) as caught:
        load_recipe(file)
    assert caught.value.lines == (f"{file} has 1 mistake:", "data.flop is unknown; did you mean data.flip?")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("train.learning_rat", "train.learning_rate"),
        ("train.lr", "train.learning_rate"),
        ("data.batch", "train.batch"),
        ("trian.batch", "train.batch"),
        ("train.num_train_epochs", "train.length"),
        ("extractr", "data.extractor"),
        ("zzz", None),
    ],
)
def test_the_nearest_key_is_proposed(wrong, meant):
    assert nearest_key(wrong) == meant


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("train.batch=4", "train.batch", 4),
        ("batch=4", "train.batch", 4),
        ("data=my pictures", "data.source", "my pictures"),
        ("data=2024", "data.source", "2024"),
        ("base='a b'", "base.model", "a b"),
        ("kind=depth", "adapter.kind", "depth"),
        ("length=3 epochs", "train.length", "3 epochs"),
        ('length="45 minutes"', "train.length", "45 minutes"),
        ("learning_rate=1e-4", "train.learning_rate", 1e-4),
        ("timestep_range=[500, 1000]", "train.timestep_range", [500, 1000]),
        ("data.extract.low=[10, 20.5]", "data.extract", {"low": [10.0, 20.5]}),
        ("data.extract={low=10, high=20}", "data.extract", {"low": 10, "high": 20}),
        ("eval.every=never", "eval.every", "never"),
        ("run=runs/a=b", "run", "runs/a=b"),
        ("cache.enabled=false", "cache.enabled", False),
    ],
)
def test_overrides(override, key, value):
    values = load_recipe(LEAST, [override]).model_dump(mode="json")
    for part in key.split("."):
        values = values[part]
    assert values == value


def test_the_last_override_of_a_key_holds_and_an_empty_one_takes_it_out():
    assert load_recipe(LEAST, ["batch=4", "train.batch=2"]).train.batch == 2
    assert load_recipe(LEAST, ["batch=4", "batch="]).train.batch == 8
    assert mistakes(LEAST, "data=") == (f"data.source is missing; expected {recipe_keys()['data.source'].meaning}",)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("precision=auto", "precision may mean several things; write base.precision or train.precision"),
        ("folder=x", "folder may mean several things; write data.source or cache.folder"),
        ("eval=1", "eval is a table; name one of its keys, as in eval.every=..."),
        ("every=1 step", "every may mean several things; write logging.every or eval.every or checkpoint.every"),
        ("watch=1", "watch is no table any more; its keys are in [logging], [eval], [checkpoint]"),
        ("batch=many", 'train.batch is "many"; expected a whole number, at least 1'),
        ("train.batch=true", "train.batch is true; expected a whole number, at least 1"),
        ("=3", "'=3' is no override; write key=value, as in train.batch=4"),
    ],
)
def test_wrong_overrides(override, words):
    assert mistakes(LEAST, override) == (words,)


def test_an_override_of_a_table_that_is_a_value():
    found = mistakes({**LEAST, "train": 4}, "train.batch=2")
    assert "train.batch cannot be set, because the recipe gives train as a plain value; write [train]" in found


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["kind=depth", "hand_drawn=0.5"], "data.hand_drawn roughens lines, and depth has none; leave it out"),
        (["kind=style"], "adapter.kind: style adapters cannot be trained yet; take a kind that has a condition map"),
        (
            ["data.extract.thresh=0.5"],
            "data.extract: Extractor 'canny': thresh is no option. Its options: low, high, blur",
        ),
        (
            ["data.extract.low=[10, 9000]"],
            "data.extract: Extractor 'canny': low=9000 must lie in 0..2000. Its options: low, high, blur",
        ),
        (["data.extract.low=[30, 10]"], "data.extract.low is [30, 10], which runs downwards; expected [low, high]"),
        (
            ["conditions=maps", "data.extract.blur=1"],
            "data.conditions gives ready maps, and data.extractor or data.extract makes them from the pictures; keep",
        ),
        (["bucket_step=30"], "data.bucket_step: 30 is no multiple of 8, the autoencoder's stride; take 64, or 32 for"),
    ],
)
def test_rules_between_keys(overrides, words):
    (found,) = mistakes(LEAST, *overrides)
    assert found.startswith(words)


def test_an_unknown_extractor_is_named_with_the_nearest():
    (found,) = mistakes(LEAST, "extractor=cany")
    assert found.startswith("data.extractor: Unknown extractor 'cany'")
    assert found.endswith("Did you mean 'canny'?")


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere.toml' cannot be read: No such file or directory; give the path"):
        load_recipe(tmp_path / "nowhere.toml")
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        load_recipe(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"run = '\xe9'")
    with pytest.raises(RecipeError, match="cannot be read: it is no UTF-8 text"):
        load_recipe(tmp_path / "latin.toml")
    (tmp_path / "broken.toml").write_text("run = \n")
    with pytest.raises(RecipeError, match=r"broken.toml' is no TOML: Invalid value \(at line 1"):
        load_recipe(tmp_path / "broken.toml")


def test_a_recipe_is_a_source_as_well():
    recipe = load_recipe(LEAST, ["batch=3"])
    assert load_recipe(recipe) == recipe
    assert load_recipe(recipe, ["batch=8"]) == load_recipe(LEAST)


def test_a_mapping_is_left_as_it_was():
    load_recipe(LEAST, ["batch=3", "data.extract.blur=1"])
    assert LEAST["data"] == {"source": "toyworld"}


def test_written_recipes_read_back_equal():
    recipe = load_recipe(
        LEAST,
        [
            'run="a \\"quoted\\" \\u007f\\\\ name"',
            "data.extract={low=[1, 2], high=[3.5, 4], blur=0.0}",
            "eval.every=never",
            "length=0.5 minutes",
            "learning_rate=3e-9",
            "guidance=5",
            "seed=9223372036854775807",
            "channels=3",
        ],
    )
    text = recipe_text(recipe)
    assert load_recipe(tomllib.loads(text)) == recipe


def test_a_written_recipe_says_what_every_key_is():
    text = recipe_text(load_recipe(LEAST))
    for key in recipe_keys().values():
        assert key.meaning, f"{key.name} has no description in its model"
        assert re.search(rf"^(# )?{key.name.rpartition('.')[2]}( =|:)", text, re.MULTILINE), key.name
    assert max(map(len, text.splitlines())) <= 140


def test_reading_recipes_needs_no_heavy_library():
    import subprocess
    import sys

    code = (
        "import sys, armature.training.recipe.load as f; f.load_recipe(sys.argv[1]);"
        "print([m for m in ('torch', 'diffusers', 'numpy', 'cv2') if m in sys.modules])"
    )
    recipe = Path(__file__).parents[3] / "recipes" / "sd15-sketch.toml"
    done = subprocess.run([sys.executable, "-c", code, recipe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("former", "today"), RENAMED.items())
def test_a_name_of_before_is_told_as_such(former, today):
    table, _, key = former.rpartition(".")
    assert today in recipe_keys()
    assert mistakes(LEAST, f"{former}=1") == (f"{former} is now called {today}",)
    values = {**LEAST, table: {**LEAST.get(table, {}), key: 1}}
    assert mistakes(values) == (f"{former} is now called {today}",)


def test_a_name_of_before_without_its_table_is_told_too():
    assert mistakes(LEAST, "measure=1 step") == ("measure is now called eval.every",)
    assert mistakes(LEAST, "start=embedded:canny") == ("start is now called adapter.init_from",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = " + "[" * 100_000, "is no TOML: it is nested too deep"),
        ("a = " + "[" * 70 + "]" * 70, "is no TOML: it is nested more than 64 deep"),
        (".".join(["a"] * 50_000) + " = 1", "has more than 500 dots in a line"),
        ("run = '" + "x" * 300_000 + "'", "it is longer than 200000 letters"),
        ("[train]\nbatch = " + "9" * 30, "a number of 30 digits; whole numbers have at most 64 bits"),
        ("[train]\nbatch = " + "9" * 9000, "Exceeds the limit"),
        ("[train]\nbatch = 0x" + "f" * 9000, "Exceeds the limit"),
    ],
)
def test_recipes_made_to_do_harm(tmp_path, text, told):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(RecipeError, match=told):
        load_recipe(tmp_path / "a.toml")


def test_paths_that_no_file_system_has():
    for path in ("~nosuchuser/a.toml", "x" * 300, "a\0b"):
        with pytest.raises(RecipeError, match=r"check the path|write the path"):
            load_recipe(path)


def test_lengths_beyond_all_counting():
    for length in ("9" * 400 + " steps", "9" * 400 + " minutes", "2e300 steps"):
        assert "train.length" in mistakes({**LEAST, "train": {"length": length}})[0]


def test_foreign_names_with_dots_of_their_own():
    assert mistakes({**LEAST, "a.b": 1, "train.batch": 4, "adapter.x": {"y.z": 1}}) == (
        "a.b is unknown; take it out",
        "'train.batch' in quotes is one name with a dot in it; write it without quotes",
        "[adapter.x] is no table of a recipe; expected base, adapter, data, cache, train, logging, eval, checkpoint",
    )


def test_overrides_deeper_than_any_reader_are_text():
    assert "batch" in mistakes(LEAST, "batch=" + "[" * 100_000)[0]
    assert "batch" in mistakes(LEAST, "batch=" + "9" * 9000)[0]
