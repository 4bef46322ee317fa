"""Draw how fast the adapters learnt: python recipes/embedded/curves.py RUN OUT.png.

RUN holds adapters/KIND/metrics.jsonl as build.sh makes them; the picture shows the share of the distance that each had
closed after so many minutes of training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from armature.training.logging.curves import draw_curves
from armature.training.logging.metrics import read_metrics


def main() -> None:
    """One curve a kind."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    curves = {
        run.name: [
            (line["minutes"], line["fidelity/closed"]) for line in read_metrics(run) if "fidelity/closed" in line
        ]
        for run in sorted((arguments.run / "adapters").iterdir())
    }
    draw_curves("Share of the distance closed, 32 held-out scenes", curves, across="minutes").save(arguments.out)


if __name__ == "__main__":
    main()
