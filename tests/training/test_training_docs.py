"""docs/training.md says of every key what the recipe's models say, and nothing of keys that do not exist."""

import re
from pathlib import Path

from armature.training.recipe.describe import recipe_keys
from armature.training.recipe.toml import toml_value

DOCUMENT = Path(__file__).parents[2] / "docs" / "training.md"
RECIPES = DOCUMENT.parents[1] / "recipes"


def row(key):
    default = "required" if key.required else "left out" if key.default is None else f"`{toml_value(key.default)}`"
    return f"| `{key.name}` | {key.expected} | {default} | {key.meaning} |"


def test_the_table_of_keys_is_that_of_the_models():
    expected = [row(key) for key in recipe_keys().values()]
    found = [line for line in DOCUMENT.read_text().splitlines() if re.match(r"\| `(run|\w+\.\w+)` \|", line)]
    assert found == expected, "the table is to be:\n" + "\n".join(expected)


def test_keys_and_recipes_that_the_text_names_exist():
    text = DOCUMENT.read_text()
    tables = "|".join({key.table for key in recipe_keys().values() if key.table})
    named = set(re.findall(rf"`((?:{tables})\.[a-z_]+)", text))
    assert named <= set(recipe_keys()), named - set(recipe_keys())
    for recipe in re.findall(r"recipes/([\w/-]+\.toml)", text):
        assert (RECIPES / recipe).is_file(), recipe
