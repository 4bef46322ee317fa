"""A folder of pictures into a folder of maps: several processes, resumable, with a report of failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature.conditions.extractor import Extractor, notes_of
from armature.conditions.kinds import Kind
from armature.conditions.networks.loading import AbsentWeightsError
from armature.conditions.picture.fit import Fit, fit_picture
from armature.conditions.picture.reading import SMALLEST_SIDE, open_picture, read_picture
from armature.conditions.registry import UNREACHABLE, find_extractor, register_in_worker, registered_here
from armature.conditions.workers import WorkerEndedError, run_in_processes
from armature.errors import ArmatureError, ConditionError
from armature.files import replacing, sweep
from armature.foreign import read_json

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
METADATA_KEY = "armature"
NOTES_KEY = "armature_notes"


@dataclass(frozen=True)
class Job:
    """How to make a map: extractor by name, its options, and the size (width, height) pictures are fitted to first.

    Raises ConditionError for a size below 8 pixels.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    fit: Fit = "resize"

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < SMALLEST_SIDE:
            raise ConditionError(
                f"Pictures were to be fitted to {self.size[0]} x {self.size[1]} px; expected at least {SMALLEST_SIDE} "
                "on each side."
            )


@dataclass
class FolderReport:
    """What became of a folder: maps written, maps that were up to date, failures as (picture, message), and what was
    noted on maps as (picture, notes).
    """

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[tuple[Path, tuple[str, ...]]] = field(default_factory=list)


def extract_file(job: Job, source: Path, target: Path) -> tuple[str, ...]:
    """Extract one picture into a PNG that carries its settings; it appears whole or not at all.

    Gives what the extractor noted on the map, which the PNG carries too.
    Raises ConditionError as `extract` does, and when target and source are one file.
    """
    extractor, settings = _resolved(job)
    if target.exists() and target.resolve() == source.resolve():
        raise ConditionError(f"{str(target)!r} is the picture itself; choose another place for the map.")
    picture = read_picture(source)
    if job.size is not None:
        picture = fit_picture(picture, job.size, job.fit)
    made = extractor.run(picture, **settings)
    notes = notes_of(made)
    write_png(made, target, _metadata(job, extractor, settings, source), notes)
    return notes


def extract_folder(
    job: Job,
    folder: Path,
    out: Path,
    *,
    jobs: int = 1,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> FolderReport:
    """Extract every picture under `folder` into the same place under `out`, as PNG.

    A map that exists, was made with the same settings and extractor version, and whose picture has not
    changed, is kept, so that a broken run goes on where it stopped; force makes all anew.
    jobs: processes, 1 and up. progress: called with (pictures finished, pictures in all).
    Extractors and kinds that were registered here reach the processes where their functions can be imported there.
    A Ctrl-C ends it, and its processes, within a second or two; what an earlier run left half-written is removed.
    Broken pictures are reported, not raised. Raises ConditionError for wrong options, a folder that is missing or has
    no pictures, a wrong number of jobs, weights that are not here, and processes that cannot do the work.
    """
    if jobs < 1:
        raise ConditionError(f"jobs is {jobs}; expected 1 or more processes.")
    extractor, settings = _resolved(job)
    pairs = _pairs(folder, out)
    report = FolderReport()
    todo: list[tuple[Path, Path]] = []
    taken: dict[Path, Path] = {}
    for source, target in pairs:
        if target in taken:
            report.failed.append((source, f"{taken[target].name} makes {target.name} already; rename one of them."))
            continue
        taken[target] = source
        if not force and _up_to_date(target, _metadata(job, extractor, settings, source)):
            report.kept.append(target)
        else:
            todo.append((source, target))
    finished = len(report.kept) + len(report.failed)
    _sweep(taken)
    with closing(_run(job, todo, min(jobs, max(1, len(todo))))) as outcomes:
        for source, target, outcome in outcomes:
            if outcome.problem is None:
                report.written.append(target)
                if outcome.notes:
                    report.notes.append((source, outcome.notes))
            else:
                report.failed.append((source, outcome.problem))
            finished += 1
            if progress is not None:
                progress(finished, len(pairs))
    report.written.sort()
    report.failed.sort()
    report.notes.sort()
    return report


def _resolved(job: Job) -> tuple[Extractor, dict[str, Any]]:
    extractor = find_extractor(job.kind)
    return extractor, extractor.settings(job.options)


def _pairs(folder: Path, out: Path) -> list[tuple[Path, Path]]:
    if not folder.is_dir():
        raise ConditionError(f"No folder at {str(folder)!r}.")
    within = out.resolve()
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.resolve().is_relative_to(within)
    ]
    if not found:
        hint = f"; maps go to {str(out)!r}, which must not hold the pictures" if out.exists() else ""
        raise ConditionError(f"No pictures ({', '.join(sorted(SUFFIXES))}) under {str(folder)!r}{hint}.")
    return [(path, out / path.relative_to(folder).with_suffix(".png")) for path in found]


@dataclass(frozen=True)
class _Outcome:
    """What became of one picture: what was noted on its map, or why there is none."""

    notes: tuple[str, ...] = ()
    problem: str | None = None


def _run(job: Job, todo: list[tuple[Path, Path]], jobs: int) -> Generator[tuple[Path, Path, _Outcome]]:
    if jobs == 1:
        for source, target in todo:
            yield source, target, _attempt(job, source, target)
        return
    things = registered_here()
    attempts = run_in_processes(partial(_attempt_pair, job), todo, jobs, _start_worker, (things,))
    try:
        # Closed at once when the caller stops: it would otherwise go on until it is collected.
        with closing(attempts):
            for (source, target), outcome in attempts:
                yield source, target, outcome
    except WorkerEndedError as error:
        named = ", ".join(repr(thing.name) for thing in things)
        hint = UNREACHABLE.format(named) if things else "Memory may have run out: try fewer jobs."
        raise ConditionError(
            f"A process that extracts {job.kind} maps ended unexpectedly. {hint} Maps that are done stay: start again, "
            "and it goes on with what is missing."
        ) from error
    finally:
        _sweep(target for _, target in todo)


def _sweep(targets: Iterable[Path]) -> None:
    """Remove what killed processes left half-written where maps go."""
    for folder in {target.parent for target in targets}:
        sweep(folder)


def _start_worker(things: tuple[Kind | Extractor, ...]) -> None:
    """Each process keeps to one core, together they fill the machine; and knows what its parent registered."""
    import cv2

    cv2.setNumThreads(1)
    register_in_worker(things)


def _attempt_pair(job: Job, pair: tuple[Path, Path]) -> _Outcome:
    return _attempt(job, *pair)


def _attempt(job: Job, source: Path, target: Path) -> _Outcome:
    """Extract one picture of many; the message instead of the error, because others must go on.

    Raises AbsentWeightsError, which all of them would meet.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return _Outcome(extract_file(job, source, target))
    except AbsentWeightsError:
        raise
    except (ArmatureError, OSError) as error:
        return _Outcome(problem=str(error))
    except MemoryError:
        return _Outcome(problem=f"{str(source)!r} is too large for this machine's memory.")


def _metadata(job: Job, extractor: Extractor, settings: Mapping[str, Any], source: Path) -> dict[str, Any]:
    try:
        state = source.stat()
    except OSError:
        stamp = None
    else:
        stamp = [state.st_size, state.st_mtime_ns]
    return {
        "format": 1,
        **extractor.metadata(settings),
        "size": list(job.size) if job.size else None,
        "fit": job.fit if job.size else None,
        "source": source.name,
        "source_stamp": stamp,
    }


def _up_to_date(target: Path, metadata: Mapping[str, Any]) -> bool:
    try:
        with open_picture(target) as image:
            return read_json(str(image.info.get(METADATA_KEY, ""))) == metadata
    except Exception:  # decoders raise many kinds for foreign bytes; such a map is made anew
        return False


def write_png(picture: Image.Image, target: Path, metadata: Mapping[str, Any], notes: Iterable[str] = ()) -> None:
    """Write a PNG with its settings as JSON under the key "armature", and notes, a line each, under "armature_notes";
    the file appears whole or not at all.
    """
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(METADATA_KEY, json.dumps(metadata))
    if told := "\n".join(notes):
        info.add_text(NOTES_KEY, told)
    with replacing(target) as temporary:
        picture.save(temporary, "PNG", pnginfo=info)
