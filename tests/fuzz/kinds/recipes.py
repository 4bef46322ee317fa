"""Recipes: TOML files of wrong types, numbers and depths, unknown keys, foreign bytes, and overrides of that sort."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from armature.training.recipe.describe import recipe_keys, recipe_text
from armature.training.recipe.load import load_recipe
from fuzz.kind import INPUT, OUT, Kind
from fuzz.mutate import NUMBERS, TEXTS, Raw, damaged, json_text, odd_value, odd_values, one_of

_START: dict[str, Any] = {
    "run": "runs/a",
    "base": {"model": "embedded", "precision": "float32"},
    "adapter": {"kind": "canny", "network": "full", "blocks": 2, "divisor": 4},
    "data": {
        "source": "toyworld", "count": 100, "resolution": 256, "bucket_step": 64, "flip": "never", "held_out": 4,
        "extractor": "canny", "extract": {"low": [50, 100], "high": 200},
    },
    "cache": {"enabled": True, "folder": "cache", "variants": 2},
    "train": {
        "length": "100 steps", "batch": 2, "learning_rate": 1e-4, "warmup": 5, "betas": [0.9, 0.99], "ema": 0.9,
        "clip": 1.0, "workers": 1,
    },
    "logging": {"every": "10 steps"},
    "eval": {"every": "1 epoch", "preview_every": "never"},
    "checkpoint": {"every": "2.5 minutes", "keep": 2},
}  # fmt: skip


def _toml(value: Any) -> str:
    """A value on one line, as near to TOML as its odd parts let it be."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, Raw):
        return {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(value, str(value).replace(":", "="))
    return json_text(value, ensure_ascii=False).decode("utf-8", "surrogatepass")


def _key(text: str) -> str:
    return text if text.replace("_", "a").isalnum() and text.isascii() else json.dumps(text)


def _document(values: Any) -> str:
    if not isinstance(values, dict):
        return f"value = {_toml(values)}"
    plain = [f"{_key(key)} = {_toml(one)}" for key, one in values.items() if not isinstance(one, dict)]
    tables = [
        "\n".join([f"[{_key(name)}]", *(f"{_key(key)} = {_toml(one)}" for key, one in table.items())])
        for name, table in values.items()
        if isinstance(table, dict)
    ]
    return "\n".join([*plain, *tables])


def _odd_text(rng: random.Random) -> str:
    deep = rng.choice((50, 800, 100_000))
    return rng.choice(
        (
            "a = " + "[" * deep + "]" * deep,
            "a = " + "{a=" * deep + "1" + "}" * deep,
            ".".join(["a"] * deep) + " = 1",
            f"[{'.'.join(['train'] * deep)}]\na = 1",
            "\n".join(f"[[data.{'a.' * n}b]]" for n in range(60)),
            "run = '''" + "x" * deep,
            f"{_document(_START)}\nrun = 'again'",
            f"{_document(_START)}\n[train]\nbatch = 1",
            "run = 1979-05-27T07:32:00Z\n[data]\nsource = 07:32:00",
            f"# {rng.choice(TEXTS[:11])}\n" + _document(_START),
            "[train]\nbatch = 0x" + "f" * deep + "\nclip = 1_0" + "_0" * deep,
            "data = 5\n" + _document({"run": "a"}),
        )
    )


def _write(rng: random.Random, folder: Path) -> None:
    def typed() -> str:
        values = json.loads(json.dumps(_START))
        for _ in range(rng.randrange(1, 4)):
            name = rng.choice(list(recipe_keys()))
            *tables, last = name.split(".")
            place = values.setdefault(tables[0], {}) if tables else values
            place[last] = odd_value(rng)
        return _document(values)

    text = one_of(
        rng,
        (4, typed),
        (4, lambda: _document(odd_values(rng, _START))),
        (1, lambda: _odd_text(rng)),
        (1, lambda: _document(_START)),
    )
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.25:
        data = damaged(rng, data)
    (folder / "recipe.toml").write_bytes(data)
    overrides = []
    for _ in range(rng.choice((0, 0, 1, 3))):
        name = rng.choice([*recipe_keys(), "batch", "lr", "data", "data.extract.low", "train", *TEXTS[:11]])
        value = rng.choice(
            [*NUMBERS, *TEXTS, "[[1", "{a=1}", "'x'", "1\nb = 2", '"""', "inf", "nan", "2 epochs", "9" * 4400]
        )
        overrides.append(rng.choice((f"{name}={value}", f"{name}={value}", name, f"={value}")))
    (folder / "overrides.json").write_text(json.dumps(overrides))


def _use(folder: Path) -> None:
    overrides = json.loads((folder / INPUT / "overrides.json").read_text())
    recipe = load_recipe(folder / INPUT / "recipe.toml", overrides)
    # What a run keeps beside its files has to say the same.
    kept = folder / OUT / "recipe.toml"
    kept.write_text(recipe_text(recipe), encoding="utf-8")
    assert load_recipe(kept) == recipe, "the recipe reads back as another one"


KIND = Kind(share=3, write=_write, use=_use)
