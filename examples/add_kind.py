"""A kind of control of one's own, trained on and drawn with: python examples/add_kind.py [STEPS].

The kind is "slope": which way tones rise, and how steeply. In a package of your own, name KIND and EXTRACTOR as entry
points instead of calling `register`, and the command line and worker processes find them too:

    [project.entry-points."armature.kinds"]
    slope = "my_package:KIND"
    [project.entry-points."armature.extractors"]
    slope = "my_package:EXTRACTOR"
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

import armature
from armature.toyworld import scene

# What an adapter of this kind sees: three channels, red first, values 0..1.
CONTRACT = armature.InputContract("slope", channels=3, order="RGB")


def slopes(picture: Image.Image, gain: float) -> Image.Image:
    """Rise to the right in red, rise downwards in green, the tone itself in blue; grey 128 is level."""
    tones = np.asarray(picture.convert("L"), dtype=np.float32)
    down, right = np.gradient(tones)
    values = np.stack([128 + gain * right, 128 + gain * down, tones], axis=-1)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def mirrored(values: np.ndarray) -> np.ndarray:
    """The map of the mirrored picture: what rose to the right rises to the left."""
    flipped = values[:, ::-1].copy()
    flipped[..., 0] = np.clip(256 - flipped[..., 0].astype(np.int32), 0, 255)
    return flipped


KIND = armature.Kind(
    name="slope",
    summary="which way tones rise",
    contract=CONTRACT,
    aliases=("incline",),
    extractor="slope",
    measure="map_error",
    mirror=mirrored,
)
EXTRACTOR = armature.Extractor(
    name="slope",
    kind="slope",
    summary="slopes of the tones",
    run=slopes,
    contract=CONTRACT,
    options=(armature.Option("gain", 4.0, "strength", low=0, high=16),),
)


def main() -> None:
    """Register, train for a few steps on maps that are extracted on the way, and draw from a map."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    armature.register(KIND, EXTRACTOR)
    recipe = {
        "run": "runs/slope",
        "base": {"model": "embedded"},
        "adapter": {"kind": "slope"},
        "data": {"source": "toyworld", "count": 4 * steps, "resolution": 128, "held_out": 4},
        "train": {"length": f"{steps} steps", "batch": 4, "learning_rate": 1e-3},
        "logging": {"tensorboard": False},
        "eval": {"every": "never", "preview_every": "never"},
    }
    adapter = armature.train(recipe, force=True)
    made = armature.generate(
        "a house on grass",
        [("slope", armature.extract("slope", scene(1).image))],
        adapters={"slope": adapter},
        seed=1,
        num_inference_steps=8,
    )
    made.images[0].save("from_slope.png")
    print(f"trained {adapter}, wrote from_slope.png")


if __name__ == "__main__":
    main()
