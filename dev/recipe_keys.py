"""Write the table of a recipe's keys into docs/training.md: python dev/recipe_keys.py"""

from pathlib import Path

from armature.training.recipe.describe import keys_in_markdown

DOCUMENT = Path(__file__).parents[1] / "docs" / "training.md"
BEGIN, END = "<!-- keys of a recipe: written by dev/recipe_keys.py -->\n", "<!-- end of the keys -->\n"


def with_keys(text: str) -> str:
    """The document with the table as the recipe's models have it now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{keys_in_markdown()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_keys(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
