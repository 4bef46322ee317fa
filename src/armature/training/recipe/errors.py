"""All mistakes of a recipe in one error."""

from __future__ import annotations

from collections.abc import Sequence

from armature.errors import RecipeError


class RecipeMistakesError(RecipeError):
    """Every mistake that was found in a recipe, told together.

    where: the recipe, as the user named it. mistakes: one sentence each, which starts with the dotted key.
    lines: what the command line prints, one line each.
    """

    def __init__(self, where: str, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        self.lines = (f"{where} has {count}:", *self.mistakes)
        super().__init__("\n  ".join(self.lines))
