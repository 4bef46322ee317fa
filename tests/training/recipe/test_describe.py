"""docs/training.md says of every key what the recipe's models say, and nothing of keys that do not exist."""

import re
import runpy
from pathlib import Path

import pytest

from armature.training.recipe.describe import recipe_keys, toml_value

HOME = Path(__file__).parents[3]
DOCUMENT = HOME / "docs" / "training.md"


def test_the_table_of_keys_is_that_of_the_models():
    text = DOCUMENT.read_text()
    assert runpy.run_path(str(HOME / "dev" / "recipe_keys.py"))["with_keys"](text) == text, (
        "run python dev/recipe_keys.py"
    )


def test_every_key_is_described():
    assert [key.name for key in recipe_keys().values() if not key.meaning] == []


def test_keys_and_recipes_that_the_text_names_exist():
    text = DOCUMENT.read_text()
    tables = "|".join({key.table for key in recipe_keys().values() if key.table})
    named = set(re.findall(rf"`((?:{tables})\.[a-z_]+)", text))
    assert named <= set(recipe_keys()), named - set(recipe_keys())
    for recipe in re.findall(r"recipes/([\w/-]+\.toml)", text):
        assert (HOME / "recipes" / recipe).is_file(), recipe


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1e-05, "1e-05"),
        ([1, 2.5], "[1, 2.5]"),
        ({"a b": [1]}, '{"a b" = [1]}'),
        ("é\x7f", '"é\\u007f"'),
    ],
)
def test_values_are_written_as_toml_on_one_line(value, text):
    assert toml_value(value) == text


def test_what_toml_lacks_cannot_be_written():
    with pytest.raises(ValueError, match="None cannot be written as TOML"):
        toml_value(None)
