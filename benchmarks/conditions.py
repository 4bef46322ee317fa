"""Throughput of the extractors that need no weights, and how a folder scales from one process to two.

    python benchmarks/conditions.py [--out benchmarks/results/conditions.json]

Pictures are toyworld scenes of 512 px; one core for the first table. Prints tables, writes JSON with commit, versions
and machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from rich.console import Console
from rich.table import Table

import armature
from armature.conditions.extract import extract
from armature.conditions.folder import Job, extract_folder
from armature.conditions.picture.edges import picture_scale
from armature.conditions.registry import find_extractor
from armature.toyworld.scene import scene

KINDS = ("canny", "sketch", "lineart", "softedge", "color", "tile", "grey")
SIZE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the condition extractors.")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/conditions.json"))
    parser.add_argument("--seconds", type=float, default=2.0, help="time per extractor")
    parser.add_argument("--folder", type=int, default=200, help="pictures in the folder")
    parser.add_argument("--folder-kind", default="lineart")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = [scene(seed, SIZE).image for seed in range(8)]
    assert picture_scale(pictures[0]) == 1.0
    speeds = {kind: speed(kind, pictures, arguments.seconds) for kind in KINDS}
    folder = folder_times(arguments.folder_kind, pictures, arguments.folder)
    result = {"size": SIZE, "pictures_per_second": speeds, "folder": folder, **surroundings()}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    show(result)
    print(arguments.out)


def speed(kind: str, pictures: list[Any], seconds: float) -> float:
    """Pictures per second of one core's time, after one to warm up.

    Processor time, not the clock: OpenCV keeps to one thread here, and other work on the machine must not count.
    """
    extract(kind, pictures[0])
    done, start = 0, time.process_time()
    while (passed := time.process_time() - start) < seconds:
        extract(kind, pictures[done % len(pictures)])
        done += 1
    return round(done / passed, 1)


def folder_times(kind: str, pictures: list[Any], count: int) -> dict[str, Any]:
    """Seconds for a folder with one and with two processes, reading, writing and starting included."""
    times: dict[str, Any] = {"kind": kind, "pictures": count}
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "in")
        source.mkdir()
        for index in range(count):
            pictures[index % len(pictures)].save(source / f"{index:03}.png")
        for jobs in (1, 2):
            start = time.perf_counter()
            report = extract_folder(Job(kind), source, Path(place, f"out{jobs}"), jobs=jobs)
            times[f"seconds_{jobs}"] = round(time.perf_counter() - start, 2)
            if len(report.written) != count:
                raise SystemExit(f"{len(report.failed)} pictures failed: {report.failed[:1]}")
        start = time.perf_counter()
        extract_folder(Job(kind), source, Path(place, "out1"))
        times["seconds_resumed"] = round(time.perf_counter() - start, 2)
    times["speedup"] = round(times["seconds_1"] / times["seconds_2"], 2)
    return times


def surroundings() -> dict[str, Any]:
    """Commit, versions, machine and how busy it was: what a number is worth nothing without."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip(),
        "extractor_versions": {kind: find_extractor(kind).version for kind in KINDS},
        "versions": {
            "armature": armature.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "pillow": PIL.__version__,
        },
        "machine": {"cpu": cpu(), "cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 2)},
    }


def cpu() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def show(result: dict[str, Any]) -> None:
    """The numbers as tables."""
    table = Table("extractor", f"pictures/s at {SIZE} px, one core", title="Extraction")
    for kind, value in result["pictures_per_second"].items():
        table.add_row(kind, f"{value:g}")
    folder = result["folder"]
    folders = Table("processes", "seconds", "pictures/s", title=f"{folder['pictures']} pictures by {folder['kind']}")
    for jobs in (1, 2):
        seconds = folder[f"seconds_{jobs}"]
        folders.add_row(str(jobs), f"{seconds:g}", f"{folder['pictures'] / seconds:.1f}")
    folders.add_row("resumed", f"{folder['seconds_resumed']:g}", "")
    console = Console()
    console.print(table)
    console.print(folders)


if __name__ == "__main__":
    main()
