"""What an evaluation found: figures, settings and a contact sheet, for scripts and for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from armature.errors import ArmatureError
from armature.evaluation.figures import Figure
from armature.evaluation.files import write_picture, write_whole

FORMAT = 1
# Passes in the order of the tables, with their words.
PASSES = {
    "without": "without adapter",
    "with": "with adapter",
    "ceiling": "ceiling: true picture through the autoencoder",
    "true": "true picture",
}


@dataclass(frozen=True, eq=False)
class Report:
    """The result of `evaluate`.

    adapter, kind, base, data: names. measure: name, unit, better and extractor. settings: what can be repeated.
    fidelity: a figure for each of PASSES. gap_closed: share of the distance from without to ceiling, or None when there
    is no distance. objects: object recall and right colours of each pass, for toyworld alone.
    seconds: of each pass. machine: where it ran. warnings: what a reader must know. samples: each one's figures.
    sheet: control, without, with, true picture.
    """

    adapter: str
    kind: str
    base: str
    data: str
    measure: Mapping[str, str]
    settings: Mapping[str, Any]
    fidelity: Mapping[str, Figure]
    gap_closed: Figure | None
    objects: Mapping[str, Mapping[str, Figure]] | None
    seconds: Mapping[str, float]
    machine: Mapping[str, Any]
    warnings: tuple[str, ...]
    samples: tuple[Mapping[str, Any], ...]
    sheet: Image.Image

    def to_dict(self) -> dict[str, Any]:
        """Everything but the sheet, JSON-ready."""
        objects = self.objects
        return {
            "format": FORMAT,
            "adapter": self.adapter,
            "kind": self.kind,
            "base": self.base,
            "data": self.data,
            "measure": dict(self.measure),
            "settings": dict(self.settings),
            "fidelity": {name: asdict(figure) for name, figure in self.fidelity.items()},
            "gap_closed": None if self.gap_closed is None else asdict(self.gap_closed),
            "objects": None
            if objects is None
            else {name: {key: asdict(value) for key, value in row.items()} for name, row in objects.items()},
            "seconds": dict(self.seconds),
            "machine": dict(self.machine),
            "warnings": list(self.warnings),
            "samples": [dict(sample) for sample in self.samples],
        }

    def to_json(self) -> str:
        """`to_dict` as text; a number that is not finite would be a mistake of ours and raises ValueError."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    def to_markdown(self) -> str:
        """A table for people, with the settings below."""
        columns = [self.measure["name"], *(() if self.objects is None else ("object recall", "colours right"))]
        lines = [
            f"# {self.adapter} on {self.data}",
            "",
            *(f"**Warning:** {warning}\n" for warning in self.warnings),
            f"{self.measure['name']}: {self.measure['unit']}, {self.measure['better']} is better; read by "
            f"{self.measure['extractor']}. Means over {self.fidelity['with'].count} samples ± standard error.",
            "",
            f"| | {' | '.join(columns)} |",
            f"|---|{'---|' * len(columns)}",
            *(self._row(name, words) for name, words in PASSES.items()),
            "",
            f"Share of the distance from without to ceiling that is closed: {self.gap_closed or 'not defined here'}",
            "",
            ", ".join(f"{name} {value}" for name, value in self.settings.items()),
            "",
            ", ".join(f"{name} {value}" for name, value in self.machine.items()),
        ]
        return "\n".join(lines) + "\n"

    def _row(self, name: str, words: str) -> str:
        cells = [str(self.fidelity[name])]
        if self.objects is not None:
            cells += [str(figure) for figure in self.objects[name].values()]
        return f"| {words} | {' | '.join(cells)} |"

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write report.json, report.md and sheet.png into a folder, which is made; earlier ones are replaced.

        Returns their paths. Raises ArmatureError when they cannot be written.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise ArmatureError(f"{folder} is a file; a report is a folder. Choose another --out.")
        return (
            write_whole(folder / "report.json", self.to_json()),
            write_whole(folder / "report.md", self.to_markdown()),
            write_picture(folder / "sheet.png", self.sheet),
        )
