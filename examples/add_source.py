"""Train on samples of a source of one's own: python examples/add_source.py [STEPS].

The source is examples/formats/circles.py, a file as it would lie in src/armature/data/sources/formats. Here the folder
is added from outside, which is the quickest way to try one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import armature
from armature.data.sources import formats


def main() -> None:
    """Make the folder of formats longer, and train a few steps on what it brings."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    formats.__path__.append(str(Path(__file__).parent / "formats"))
    recipe = {
        "run": "runs/circles",
        "base": {"model": "embedded"},
        "adapter": {"kind": "sketch"},
        "data": {"source": "circles", "format": "circles", "count": 4 * steps, "resolution": 128, "held_out": 4},
        "train": {"length": f"{steps} steps", "batch": 4, "learning_rate": 1e-3},
        "logging": {"tensorboard": False},
        "eval": {"every": "never", "preview_every": "never"},
    }
    print(f"trained {armature.train(recipe, force=True)} on circles")


if __name__ == "__main__":
    main()
