"""Which key of a recipe a name means: short names, names of before, other trainers' names, slips of the pen."""

from __future__ import annotations

from difflib import get_close_matches

from armature.training.recipe.describe import recipe_keys, tables

# Names of before -> those of today.
RENAMED = {
    "adapter.start": "adapter.init_from",
    "watch.log": "logging.every",
    "watch.tensorboard": "logging.tensorboard",
    "watch.wandb": "logging.wandb",
    "watch.measure": "eval.every",
    "watch.fidelity": "eval.fidelity_samples",
    "watch.preview": "eval.preview_every",
    "watch.previews": "eval.preview_samples",
    "watch.steps": "eval.steps",
    "watch.guidance": "eval.guidance",
    "watch.save": "checkpoint.every",
    "watch.keep": "checkpoint.keep",
}
# What other trainers call things.
_OTHER_NAMES = {
    "lr": "train.learning_rate",
    "rate": "train.learning_rate",
    "max_steps": "train.length",
    "max_train_steps": "train.length",
    "num_train_epochs": "train.length",
    "epochs": "train.length",
    "minutes": "train.length",
    "batch_size": "train.batch",
    "train_batch_size": "train.batch",
    "gradient_accumulation_steps": "train.accumulate",
    "gradient_checkpointing": "train.checkpoint_gradients",
    "max_grad_norm": "train.clip",
    "lr_scheduler": "train.schedule",
    "lr_warmup_steps": "train.warmup",
    "mixed_precision": "train.precision",
    "snr_gamma": "train.min_snr",
    "dataloader_num_workers": "train.workers",
    "size": "data.resolution",
    "images": "data.source",
    "path": "data.source",
    "output": "run",
    "output_dir": "run",
    "pretrained_model_name_or_path": "base.model",
    "checkpointing_steps": "checkpoint.every",
    "logging_steps": "logging.every",
    "eval_steps": "eval.every",
    "validation_steps": "eval.preview_every",
}
# A table's own name stands for the key that it is about.
_MAIN_KEYS = {"data": "data.source", "base": "base.model"}
# Names that exist once, but make most people think of something else; these need their table.
_AMBIGUOUS = {"steps": "train.length='1000 steps'", "folder": "data.source or cache.folder", "enabled": "cache.enabled"}


def former_key(name: str) -> str | None:
    """The mistake, in words, of a name of before: a key with or without its table, or a table; else None."""
    if name in RENAMED:
        return f"{name} is now called {RENAMED[name]}"
    homes = dict.fromkeys(new.partition(".")[0] for old, new in RENAMED.items() if old.startswith(f"{name}."))
    if homes and name not in tables():
        return f"{name} is no table any more; its keys are in {', '.join(f'[{home}]' for home in homes)}"
    short = {old.rpartition(".")[2]: new for old, new in RENAMED.items()}
    return f"{name} is now called {short[name]}" if name in short else None


def unknown_key(name: str) -> str:
    """The mistake, in words, of a dotted name that is no key."""
    if (former := former_key(name)) is not None:
        return former
    near = nearest_key(name)
    return f"{name} is unknown{f'; did you mean {near}?' if near else '; take it out'}"


def nearest_key(name: str) -> str | None:
    """The key that a wrong name, dotted or not, was probably meant for, or None."""
    keys = recipe_keys()
    last = name.rpartition(".")[2]
    if last in _OTHER_NAMES:
        return _OTHER_NAMES[last]
    # A right name in a wrong table, then a wrong name in a right one, then anything that looks alike.
    if moved := [key for key in keys if key.rpartition(".")[2] == last]:
        return moved[0]
    beside = [key for key in keys if key.rpartition(".")[0] == name.rpartition(".")[0]]
    near = get_close_matches(name, beside, n=1, cutoff=0.6) or get_close_matches(name, list(keys), n=1, cutoff=0.6)
    if near:
        return near[0]
    ends = {key.rpartition(".")[2]: key for key in reversed(keys)}
    return next((ends[end] for end in get_close_matches(last, list(ends), n=1, cutoff=0.7)), None)


def find_key(name: str) -> tuple[str | None, str]:
    """The dotted key of a short or dotted name, or None and what is wrong with it."""
    keys = recipe_keys()
    if name in _MAIN_KEYS:
        return _MAIN_KEYS[name], ""
    if name in keys or name.startswith("data.extract."):
        return name, ""
    if name in tables():
        return None, f"{name} is a table; name one of its keys, as in {_first_key(name)}=..."
    if "." not in name:
        if name in _AMBIGUOUS:
            return None, f"{name} may mean several things; write {_AMBIGUOUS[name]}"
        ends = [key for key in keys if key.rpartition(".")[2] == name]
        if len(ends) == 1:
            return ends[0], ""
        if ends:
            return None, f"{name} may mean several things; write {' or '.join(ends)}"
    return None, former_key(name) or f"{name} is no key of a recipe{_hint(name)}"


def _hint(name: str) -> str:
    near = nearest_key(name)
    if near is None and (tables_like := get_close_matches(name, list(_MAIN_KEYS), n=1)):
        near = tables_like[0]
    return "" if near is None else f"; did you mean {near}?"


def _first_key(table: str) -> str:
    return next(key for key in recipe_keys() if key.startswith(f"{table}."))
