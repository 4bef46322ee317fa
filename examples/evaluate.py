"""How well do pictures follow their control? python examples/evaluate.py [COUNT]."""

from __future__ import annotations

import sys

from armature.data.settings import DataSettings
from armature.evaluation.evaluate import evaluate


def main() -> None:
    """Measure the embedded sketch adapter on held-out scenes and write the report."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    data = DataSettings(source="toyworld", resolution=128)
    report = evaluate("embedded:sketch", data=data, count=count, steps=10)
    report.write("evaluation-sketch")
    print(f"share of the gap closed: {report.gap_closed}")


if __name__ == "__main__":
    main()
