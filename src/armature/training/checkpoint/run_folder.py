"""The folder of one training: what lies where in it, and whose training it is."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from armature.errors import RecipeError
from armature.files import replacing
from armature.training.checkpoint.store import CheckpointStore
from armature.training.recipe.model import Recipe

# Settings that may change when a training is resumed: none of them alters what a step learns. The number of samples a
# step must stay, however it is divided; `fit` sees to that.
FREE_TABLES = ("logging", "eval", "checkpoint")
FREE = frozenset(
    {
        "run",
        "train.length",
        "train.workers",
        "train.batch",
        "train.accumulate",
        "train.checkpoint_gradients",
        "train.compile",
        "cache.folder",
        "cache.shard",
        "data.strict",
        "data.bad_share",
    }
)


class RunFolder:
    """Paths of a run. Nothing is touched before `claim`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.toml"
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.metrics = self.path / "metrics.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.adapter = self.path / "adapter"

    def store(self, keep: int = 3) -> CheckpointStore:
        """Its checkpoints, of which the newest `keep` stay."""
        return CheckpointStore(self.checkpoints, keep)

    def claim(self, text: str, *, resume: bool = False, force: bool = False) -> list[str]:
        """Make the folder this recipe's, in the first process, before anything is written to it.

        text: the resolved recipe as TOML; it becomes recipe.toml. resume: go on from its checkpoints. force: take over
        the folder of another recipe; without resume, checkpoints are removed and training starts anew.
        Returns notes on settings that changed since the last run and may. Raises RecipeError for the folder of
        another recipe, and for one that holds checkpoints that are neither to be continued nor to be removed.
        """
        changes = self._changes(text)
        deciding = [words for name, words in changes if not _free(name)]
        if deciding and not force:
            raise RecipeError(
                f"{self.path} holds the training of another recipe: {'; '.join(deciding)}. Choose another run folder, "
                "restore these settings, or take the folder over with --force."
            )
        store = self.store()
        saved = store.all()
        if saved and not resume:
            if not force:
                raise RecipeError(
                    f"{self.path} already holds checkpoints up to {saved[-1].name}. Continue them with --resume, "
                    "choose another run folder, or start anew with --force, which removes them."
                )
            store.clear()
        store.tidy()
        self._write(text)
        return [f"Changed since the last run: {words}." for _, words in changes]

    def _changes(self, text: str) -> list[tuple[str, str]]:
        """Names of settings that differ from those of recipe.toml, each with a description."""
        if not self.recipe.exists():
            return []
        new = flat_settings(text)
        try:
            old = flat_settings(self.recipe.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # TOML's, pydantic's and Unicode's errors are ValueErrors
            return [("recipe", f"its recipe.toml cannot be read ({str(error).splitlines()[0]})")]
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        return [(name, f"{name} was {_shown(old.get(name))}, now {_shown(new.get(name))}") for name in names]

    def _write(self, text: str) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with replacing(self.recipe) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            raise RecipeError(f"{self.path} cannot be written to ({error}); choose another run folder.") from error


def recipe_digest(text: str) -> str:
    """A name for what decides a training: equal for recipes that differ in free settings only.

    text: the recipe as TOML. Raises RecipeError when it is none.
    """
    try:
        settings = flat_settings(text)
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"The recipe is not valid: {error}") from error
    kept = {name: value for name, value in settings.items() if not _free(name)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def flat_settings(text: str) -> dict[str, Any]:
    """All settings of a recipe by dotted name, defaults filled in. Raises ValueError when it is none."""
    flat: dict[str, Any] = {}

    def walk(values: dict[str, Any], prefix: str) -> None:
        for name, value in values.items():
            if isinstance(value, dict) and value:
                walk(value, f"{prefix}{name}.")
            else:
                flat[f"{prefix}{name}"] = value

    walk(Recipe.model_validate(tomllib.loads(text)).model_dump(mode="json"), "")
    return flat


def _free(name: str) -> bool:
    return name in FREE or name.partition(".")[0] in FREE_TABLES


def _shown(value: Any) -> str:
    return "not set" if value is None else repr(value)
