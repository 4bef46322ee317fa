"""Encode the training scenes for the base: python recipes/embedded/encode.py SCENES AUTOENCODER [--device cuda].

AUTOENCODER/latents.f16 holds (count, channels, 16, 16) in half precision, latents.json how many are done, latents.all
lies there when all are. It goes on where it stopped, and the base may train on the first ones meanwhile.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from run import arguments
from store import Store, to_tensor

from armature.files import replacing

# Latent cells a side.
CELLS = 16
NOTE_EVERY = 1024


def done(folder: Path) -> int:
    """How many scenes are encoded in a folder."""
    note = folder / "latents.json"
    return int(json.loads(note.read_text())["done"]) if note.exists() else 0


def encoded(folder: Path, count: int) -> np.ndarray:
    """The latents that are there, of a store of `count` scenes: (done, channels, 16, 16) half precision, mapped."""
    channels = (folder / "latents.f16").stat().st_size // (2 * CELLS * CELLS * count)
    return np.memmap(folder / "latents.f16", np.float16, "r", shape=(count, channels, CELLS, CELLS))[: done(folder)]


@torch.no_grad()
def main() -> None:
    """Encode what is not encoded yet, until all is or it is time to pause."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", type=Path)
    parser.add_argument("autoencoder", type=Path)
    given = arguments(parser, pictures=10**9, batch=8)
    store = Store.open(given.scenes)
    vae = AutoencoderTiny.from_pretrained(given.autoencoder / "vae").eval()
    vae = vae.to(given.device, memory_format=torch.channels_last)
    path, first = given.autoencoder / "latents.f16", done(given.autoencoder)
    shape = (store.count, vae.config.latent_channels, CELLS, CELLS)
    out = np.memmap(path, np.float16, "r+" if path.exists() else "w+", shape=shape)
    pictures, began = store.array("picture"), time.monotonic()
    last = min(store.count, given.pictures)
    while first < last:
        stop = min(first + NOTE_EVERY, last)
        for i in range(first, stop, given.batch):
            part = slice(i, min(i + given.batch, stop))
            out[part] = vae.encode(to_tensor(pictures[part]).to(given.device)).latents.half().cpu().numpy()
        out.flush()
        first = stop
        with replacing(given.autoencoder / "latents.json") as note:
            note.write_text(json.dumps({"done": first}))
        print(json.dumps({"encoded": first, "minutes": round((time.monotonic() - began) / 60, 2)}), flush=True)
        if (time.monotonic() - began) / 60 > given.pause_after:
            return
    (given.autoencoder / "latents.all").touch()


if __name__ == "__main__":
    main()
