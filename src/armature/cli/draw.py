"""What `armature generate` does with its options: draws each prompt on one base, writes, and tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from armature.errors import RecipeError
from armature.evaluation.sheet import labelled_sheet
from armature.files import local_path
from armature.generation.controls import ControlRequest, refuse_unused, requests_of
from armature.generation.generate import Generation, generate
from armature.generation.models import Models
from armature.generation.prompts import Prompt, read_prompts
from armature.generation.record import check_target, write_pictures, write_sheet

# Arguments of `generate` that belong to what it runs on, which stays open from one prompt to the next.
_OF_MODELS = ("base", "adapters", "vae", "config", "device", "dtype")


@dataclass(frozen=True)
class Target:
    """Where pictures go. out: the named file or folder, or None. numbered: whether there may be several prompts."""

    out: Path | None
    folder: bool
    numbered: bool

    @classmethod
    def checked(cls, text: str | None, *, numbered: bool) -> Target:
        """Of the text of --out; one that ends with / is a folder. Raises RecipeError when nothing can be written."""
        out = None if text is None else local_path(text, RecipeError)
        folder = out is not None and (out.is_dir() or str(text).endswith("/"))
        check_target(Path("armature.png") if out is None else out, folder=folder)
        return cls(out, folder, numbered)

    def paths(self, number: int, seeds: list[int], prompts: int) -> list[Path]:
        """The named file, numbered ones beside it, or names made of the prompt's number (from 0) and the seeds."""
        if self.out is None or self.folder:
            lead = f"{number + 1:0{len(str(prompts))}}-" if self.numbered else ""
            return [(self.out or Path()) / f"armature-{lead}{seed}.png" for seed in seeds]
        if prompts * len(seeds) == 1:
            return [self.out]
        first = number * len(seeds) + 1
        return [self._beside(str(first + index)) for index in range(len(seeds))]

    @property
    def sheet(self) -> Path:
        """The sheet of all pictures."""
        return (self.out or Path()) / "armature-grid.png" if self.out is None or self.folder else self._beside("grid")

    def _beside(self, word: str) -> Path:
        assert self.out is not None
        return self.out.with_name(f"{self.out.stem}-{word}{self.out.suffix}")


@dataclass(frozen=True)
class Drawing:
    """All prompts with what they share.

    models: open from the first drawing on. arguments: of `generate`, for all prompts. seeds: by the prompt's number, of
    those that were drawn by lot: drawn again, a picture changes with its control alone.
    """

    models: Models
    prompts: tuple[Prompt, ...]
    arguments: Mapping[str, Any]
    target: Target
    grid: bool
    as_json: bool
    seeds: dict[int, int]

    @classmethod
    def of(
        cls, arguments: Mapping[str, Any], file: Path | None, target: Target, *, grid: bool, as_json: bool
    ) -> Drawing:
        """arguments: of `generate`. file: of prompts, in whose place there is arguments' own prompt otherwise."""
        prompts = (Prompt(arguments["prompt"]),) if file is None else read_prompts(file)
        shared = {name: value for name, value in arguments.items() if name not in (*_OF_MODELS, "prompt")}
        models = Models(**{name: arguments.get(name) for name in _OF_MODELS})
        refuse_unused(shared.get("controls", ()), models)
        return cls(models, prompts, shared, target, grid, as_json, {})

    def draw(self) -> None:
        """Draw, write and tell every prompt, then the sheet."""
        tiles, made = [], []
        for number, prompt in enumerate(self.prompts):
            one = self._generate(number, prompt)
            settings = one.settings
            self.seeds[number] = settings.seed
            seeds = [settings.seed + index for index in range(settings.count)]
            paths = self.target.paths(number, seeds, len(self.prompts))
            write_pictures(one.images, settings, paths)
            self._tell(one, paths)
            if self.grid:
                made += [settings.single(index) for index in range(settings.count)]
                labels = (f"seed {seed}: {settings.prompt}" for seed in seeds)
                tiles += [(label, np.asarray(image)) for label, image in zip(labels, one.images, strict=True)]
        if self.grid:
            columns = len(tiles) // len(self.prompts)
            sheet = labelled_sheet(tiles, columns if columns > 1 and len(self.prompts) > 1 else None)
            write_sheet(sheet, made, self.target.sheet)
            typer.echo(json.dumps({"grid": str(self.target.sheet)}) if self.as_json else str(self.target.sheet))

    def say(self, text: str) -> None:
        """A line on the terminal about what goes on; nothing where scripts read."""
        if not self.as_json:
            plain = "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))
            typer.echo(f"armature: {plain}", err=True)

    def _generate(self, number: int, prompt: Prompt) -> Generation:
        own = {"seed": prompt.seed, "negative_prompt": prompt.negative_prompt}
        arguments = {**self.arguments, **{name: value for name, value in own.items() if value is not None}}
        if arguments.get("seed") is None and number in self.seeds:
            arguments["seed"] = self.seeds[number]
        title = "" if len(self.prompts) == 1 else f" {number + 1} of {len(self.prompts)}"
        with _bar(title, hidden=self.as_json) as progress:
            return generate(prompt.prompt, base=self.models, progress=progress, **arguments)

    def _tell(self, made: Generation, paths: list[Path]) -> None:
        if self.as_json:
            answer = {
                "written": [str(path) for path in paths],
                "settings": made.settings.to_record(),
                "notes": list(made.notes),
                "report": asdict(made.report),
            }
            typer.echo(json.dumps(answer))
            return
        for note in made.notes:
            typer.echo(f"note: {' '.join(note.split())}", err=True)
        for path in paths:
            typer.echo(str(path))


def watched_files(arguments: Mapping[str, Any]) -> tuple[Path, ...]:
    """The files that the pictures of `generate`'s arguments are made from; RecipeError when there are none."""
    requests = [one for one in requests_of(arguments.get("controls", ())) if isinstance(one, ControlRequest)]
    given = [picture for one in requests for picture in (one.image, one.mask)]
    given += [arguments.get("image"), arguments.get("mask_image")]
    files = tuple(dict.fromkeys(Path(one) for one in given if isinstance(one, (str, Path))))
    if not files:
        raise RecipeError("--watch waits for a picture that is saved, and there is none; add --control or --init.")
    if gone := [path for path in files if not path.is_file()]:
        raise RecipeError(f"--watch waits for pictures that are there; there is none at {str(gone[0])!r}.")
    return files


@contextmanager
def _bar(title: str, *, hidden: bool) -> Iterator[Any]:
    """A progress bar on stderr that waits while models load; yields what `generate` calls after every step."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("loading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total, description=f"generating{title}")
