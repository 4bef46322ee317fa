"""The model card of a trained adapter: what it is, how it was trained, and how well it follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.readers import LAYOUTS, reader_table
from armature.bases.families import family_title
from armature.data.sources.open import exact_kinds
from armature.files import public_name
from armature.training.checkpoint.state import TrainerState
from armature.training.logging.curves import can_draw, draw_curves
from armature.training.logging.metrics import series
from armature.training.recipe.model import Recipe
from armature.version import __version__

# File name -> title, and which figures of the log it shows.
_CURVES = {
    "loss.png": ("Training loss", ("train/loss",)),
    "held_out.png": ("Held-out loss by timesteps", ("held_out/",)),
    "fidelity.png": ("Control fidelity on held-out samples", ("fidelity/",)),
}
_CLOSED = "fidelity/closed"


@dataclass(frozen=True)
class Summary:
    """A training in short, JSON-ready.

    training: settings and extent. extractor: what made the control maps. figures: the last held-out figures by name.
    """

    training: Mapping[str, Any]
    extractor: str
    figures: Mapping[str, float]

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        adapter: Adapter,
        lines: Sequence[Mapping[str, Any]],
        state: TrainerState,
    ) -> Summary:
        """Of a recipe and the lines of its metrics.jsonl; local paths are told by their last part."""
        train, data = recipe.train, recipe.data
        names = sorted({name for line in lines for name in line if name.startswith(("held_out/", "fidelity/"))})
        last = {name: points[-1][1] for name in names if (points := series(lines, name))}
        training = {
            "base": public_name(recipe.base.model),
            "network": adapter.spec.network,
            "init_from": None if recipe.adapter.init_from is None else public_name(recipe.adapter.init_from),
            "steps": state.step,
            "images": state.images,
            "minutes": round(state.minutes, 2),
            "batch": state.images // state.step if state.step else train.batch * train.accumulate,
            "resolution": data.resolution,
            "learning_rate": train.learning_rate,
            "schedule": train.schedule,
            "warmup": train.warmup,
            "optimizer": train.optimizer,
            "timesteps": train.timesteps,
            "timestep_range": list(train.timestep_range),
            "min_snr": train.min_snr,
            "noise_offset": train.noise_offset,
            "caption_dropout": train.caption_dropout,
            "condition_dropout": train.condition_dropout,
            "hand_drawn": data.hand_drawn,
            "ema": train.ema,
            "seed": train.seed,
            "software": f"armature {__version__}",
        }
        return cls(training, _extractor(recipe), last)


def curve_pictures(lines: Sequence[Mapping[str, Any]]) -> dict[str, Image.Image]:
    """The curves of a log by file name; those without a point are left out, and all where matplotlib is missing."""
    if not can_draw():
        return {}
    names = list(dict.fromkeys(name for line in lines for name in line if "/" in name and name != _CLOSED))
    pictures = {}
    for file, (title, starts) in _CURVES.items():
        drawn = {name.partition("/")[2]: series(lines, name) for name in names if name.startswith(starts)}
        drawn = {name: points for name, points in drawn.items() if points}
        if drawn:
            pictures[file] = draw_curves(title, drawn)
    return pictures


def model_card(summary: Summary, adapter: Adapter, card: AdapterCard, pictures: Sequence[str]) -> str:
    """The text of README.md. pictures: names of the files beside it that it shows."""
    family, contract = family_title(card.family, whole=True), card.contract
    parameters = sum(tensor.numel() for tensor in adapter.parameters()) / 1e6
    lines = [
        "---",
        "library_name: diffusers",
        "tags: [t2i-adapter, image-generation, armature]",
        "---",
        "",
        f"# {str(card.kind).capitalize()} adapter for {family}",
        "",
        f"A T2I-Adapter ({adapter.spec.network}, {parameters:.2f} M parameters) trained with Armature on the base "
        f"`{summary.training['base']}`, which it leaves as it is.",
        "",
        "```python",
        "import armature",
        "",
        'control = armature.Control(armature.load_adapter("path/to/this/folder"), "map.png")',
        "with armature.attach(pipe, control):",
        '    image = pipe("...").images[0]',
        "```",
        "",
        "## The control map",
        "",
        "| | |",
        "|---|---|",
    ]
    if contract is not None:
        lines += _table(
            {
                "what": contract.description or contract.kind,
                "channels": f"{contract.channels}, order {contract.order}",
                "range": f"{contract.range[0]:g} to {contract.range[1]:g}",
                "polarity": contract.polarity,
                "binarised at": contract.binarize,
                "palette": contract.palette,
            }
        )
    options = card.metadata.get("extractor_options") or {}
    lines += _table({"made by": summary.extractor, **{f"with {name}": value for name, value in options.items()}})
    lines += ["", "## Training", "", "| setting | value |", "|---|---|"]
    lines += _table({"data": card.metadata["training"]["data"], **summary.training})
    if summary.figures:
        lines += ["", "## Figures at the end", "", "| on held-out samples | value |", "|---|---|"]
        lines += _table({name: f"{value:.4f}" for name, value in summary.figures.items()})
    lines += ["", "## Who reads it", "", "| program | this folder | the file in the original layout |", "|---|---|---|"]
    readers = type(adapter).readers(adapter.spec)
    folder, file = (reader_table(readers, layout) for layout in LAYOUTS)
    lines += [f"| {program} | {folder[program]} | {file[program]} |" for program in folder]
    for name in pictures:
        lines += ["", f"![{name.partition('.')[0].replace('_', ' ')}]({name})"]
    return "\n".join(lines) + "\n"


def _table(rows: Mapping[str, Any]) -> list[str]:
    return [f"| {name.replace('_', ' ')} | {value} |" for name, value in rows.items() if value is not None]


def _extractor(recipe: Recipe) -> str:
    """What made the maps, in a word."""
    data, kind = recipe.data, recipe.adapter.kind
    if data.conditions is not None:
        return "ready maps"
    if data.extractor is not None:
        return data.extractor
    return f"{data.source} {kind}" if kind in exact_kinds(data) else kind
