"""Put finished weights where the package ships them: python recipes/embedded/install.py RUN [--autoencoder DIR].

RUN holds base/, annotator/ and adapters/KIND/ as build.sh makes them; what is not there yet stays as it is in the
package. A polished autoencoder may replace the base's.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from text import words_taught

from armature.bases.card import CARD
from armature.conditions.networks.annotator import annotator_path
from armature.embedded.paths import WEIGHTS

# 90 in all, of which style, fuser and motion weights are to have 25.
LIMIT_MB = 65
# What the parts cost to train, beside their weights: runs are not kept for ever.
EFFORT = WEIGHTS / "trained.json"


def without_origin(path: Path, key: str) -> None:
    """Take a key out of a configuration: such as the folder that a model came from, which nobody else has."""
    settings = json.loads(path.read_text())
    if settings.pop(key, None) is not None:
        path.write_text(json.dumps(settings, indent=2) + "\n")


def install_base(folder: Path, autoencoder: Path | None) -> None:
    """Put a pipeline in place of the package's."""
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float16)
    if autoencoder:
        vae = type(pipe.vae).from_pretrained(autoencoder / "vae", dtype=torch.float16)
        if vae.config.scaling_factor != pipe.vae.config.scaling_factor:
            raise SystemExit("the autoencoders have different scaling factors: not the same latents")
        pipe.vae = vae
    # The base's name and what it recommends are chosen by people, and stay; its words are those of its world.
    card = json.loads((WEIGHTS / "base" / CARD).read_text()) | {"words": words_taught()}
    shutil.rmtree(WEIGHTS / "base", ignore_errors=True)
    pipe.save_pretrained(WEIGHTS / "base")
    (WEIGHTS / "base" / CARD).write_text(json.dumps(card, indent=2) + "\n")
    for path in (WEIGHTS / "base").rglob("*.json"):
        without_origin(path, "_name_or_path")
    # diffusers writes it for tiny autoencoders and warns of it when it reads it.
    without_origin(WEIGHTS / "base" / "vae" / "config.json", "block_out_channels")


def note_effort(run: Path) -> None:
    """Write down steps and minutes of the parts that this run holds; the adapters carry theirs with them."""
    known = json.loads(EFFORT.read_text()) if EFFORT.is_file() else {}
    for name in ("autoencoder", "text", "base", "annotator"):
        path = run / name / "state.pt"
        if path.is_file():
            state = torch.load(path, weights_only=True, mmap=True)
            known[name] = {"steps": int(state["step"]), "minutes": round(float(state["minutes"]), 1)}
    EFFORT.write_text(json.dumps(known, indent=2) + "\n")


def main() -> None:
    """Copy everything, in half precision, and check the total size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--autoencoder", type=Path, help="a run whose vae replaces the base's (same latents)")
    arguments = parser.parse_args()
    if (arguments.run / "base" / "pipeline").is_dir():
        install_base(arguments.run / "base" / "pipeline", arguments.autoencoder)
    annotator = arguments.run / "annotator" / "annotator.safetensors"
    if annotator.is_file():
        shutil.copyfile(annotator, annotator_path())
    for adapter in sorted(arguments.run.glob("adapters/*/adapter")):
        target = WEIGHTS / "adapters" / adapter.parent.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in ("config.json", "diffusion_pytorch_model.safetensors"):
            shutil.copyfile(adapter / name, target / name)
    note_effort(arguments.run)
    total = sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) / 1e6
    print(f"{total:.1f} MB of weights in {WEIGHTS}")
    if total > LIMIT_MB:
        raise SystemExit(f"the shipped weights may have at most {LIMIT_MB} MB together")


if __name__ == "__main__":
    main()
