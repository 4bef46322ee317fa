"""Train a sketch adapter for the embedded base, measure it, draw with it: python examples/train.py [STEPS [RUN]].

200 steps take a minute or two on a CPU and already follow lines; the shipped adapter saw 2200.
"""

from __future__ import annotations

import sys
from pathlib import Path

import armature
from armature.embedded.paths import DRAWINGS


def main() -> None:
    """Train, then draw one picture with the finished adapter."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    run = Path(sys.argv[2] if len(sys.argv) > 2 else "runs/example")
    recipe = {
        "run": str(run),
        "base": {"model": "embedded"},
        "adapter": {"kind": "sketch"},
        # Scenes with exact maps; a folder of pictures with captions is named the same way.
        "data": {"source": "toyworld", "count": 8 * steps, "resolution": 128, "held_out": 8},
        "cache": {"folder": str(run.parent / "cache")},
        "train": {"length": f"{steps} steps", "batch": 8, "learning_rate": 1e-3, "schedule": "cosine"},
        "logging": {"every": "20 steps", "tensorboard": False},
        "eval": {"every": "never", "preview_every": "never"},
    }
    adapter = armature.train(recipe, force=True)
    made = armature.generate(
        "a red house and a tree on grass", [("sketch", DRAWINGS / "house.png")], adapters={"sketch": adapter}, seed=7
    )
    made.images[0].save(run / "house.png")
    print(f"trained {adapter}, drew {run / 'house.png'}")


if __name__ == "__main__":
    main()
