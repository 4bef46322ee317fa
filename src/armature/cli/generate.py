"""`armature generate`: a prompt and controls into PNG files that carry their settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from armature.cli.control_spec import USAGE, parse_adapters, parse_control, parse_size
from armature.errors import RecipeError

if TYPE_CHECKING:
    from armature.generation.generate import Generation


def generate(
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    control: Annotated[list[str] | None, typer.Option("--control", "-c", help=f"{USAGE}; repeatable.")] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Diffusers folder, hub id, or .safetensors / .ckpt file. Else the embedded model."),
    ] = None,
    adapter: Annotated[
        list[str] | None, typer.Option(help="KIND=REF: file, folder or hub id; repeatable. Else the embedded ones.")
    ] = None,
    init: Annotated[Path | None, typer.Option(help="A picture to start from.")] = None,
    strength: Annotated[
        float | None, typer.Option(help="How much of --init is redone, 0 to 1. Default 0.8.", show_default=False)
    ] = None,
    inpaint: Annotated[Path | None, typer.Option(help="Mask: white where --init is painted anew.")] = None,
    negative: Annotated[str, typer.Option(help="What to avoid.")] = "",
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler. Else the base's.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How strictly the prompt is followed. Else the base's.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="euler-a, dpm++2m-karras, ... Else the base's own.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the first picture; the next have seed + 1... Else drawn.")
    ] = None,
    count: Annotated[int, typer.Option(help="Number of pictures.")] = 1,
    size: Annotated[str | None, typer.Option(help="WxH in pixels. Else the base's own, or that of --init.")] = None,
    vae: Annotated[str | None, typer.Option(help="Another VAE: folder, hub id or file.")] = None,
    base_config: Annotated[
        str | None, typer.Option(help="For a single-file --base: diffusers folder with its configuration.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps. Else the best there is.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16 or bfloat16. Else what suits the device.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="PNG file, replaced if it exists; with --count name-1.png, name-2.png... Or a folder. "
            "Else armature-SEED.png.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print files, settings, notes and report as JSON.")] = False,
) -> None:
    """Make pictures that follow the prompt and the controls. Without --base everything works offline."""
    from armature.cli.quiet import quiet_libraries

    if strength is not None and init is None:
        raise RecipeError("--strength says how much of a picture is redone, and there is none; add --init, or drop it.")
    requests = [parse_control(text) for text in control or []]
    adapters, wanted_size = parse_adapters(adapter or []), parse_size(size)
    quiet_libraries()
    from armature.generation.generate import generate as make
    from armature.generation.record import check_target, write_pictures

    folder = out is not None and (out.is_dir() or str(out).endswith("/"))
    check_target(Path("armature.png") if out is None else out, folder=folder)
    with _bar(hidden=as_json) as progress:
        made = make(
            prompt,
            requests,
            base=base,
            adapters=adapters,
            image=init,
            strength=0.8 if strength is None else strength,
            mask_image=inpaint,
            negative_prompt=negative,
            num_inference_steps=steps,
            guidance_scale=guidance,
            sampler=sampler,
            seed=seed,
            num_images_per_prompt=count,
            size=wanted_size,
            vae=vae,
            config=base_config,
            device=device,
            dtype=dtype,
            progress=progress,
        )
    paths = target_paths(out, folder, made)
    write_pictures(made.images, made.settings, paths)
    _tell(made, paths, as_json)


def target_paths(out: Path | None, folder: bool, made: Generation) -> list[Path]:
    """Where the pictures go: the named file, numbered ones beside it, or names made of their seeds."""
    seeds = [made.settings.seed + index for index in range(made.settings.count)]
    if out is None or folder:
        return [(out or Path()) / f"armature-{seed}.png" for seed in seeds]
    if len(seeds) == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{number}{out.suffix}") for number in range(1, len(seeds) + 1)]


@contextmanager
def _bar(*, hidden: bool) -> Iterator[Any]:
    """A progress bar on stderr that waits while models load; yields what `generate` calls after every step."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("loading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total, description="generating")


def _tell(made: Generation, paths: list[Path], as_json: bool) -> None:
    if as_json:
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
