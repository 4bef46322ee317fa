"""`armature generate`: prompts and controls into PNG files that carry their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from armature.cli.control_spec import USAGE, parse_adapters, parse_control, parse_size
from armature.errors import RecipeError


def generate(
    prompt: Annotated[str | None, typer.Argument(help="What to draw; else --prompts or --like says it.")] = None,
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
    negative: Annotated[str | None, typer.Option(help="What to avoid.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler. Else the base's.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How strictly the prompt is followed. Else the base's.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="euler-a, dpm++2m-karras, ... Else the base's own.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the first picture; the next have seed + 1... Else drawn.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Number of pictures. Default 1.", show_default=False)] = None,
    size: Annotated[
        str | None, typer.Option(help="WxH in pixels. Else that of --init or the first control, or the base's own.")
    ] = None,
    vae: Annotated[str | None, typer.Option(help="Another VAE: folder, hub id or file.")] = None,
    base_config: Annotated[
        str | None, typer.Option(help="For a single-file --base: diffusers folder with its configuration.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps. Else the best there is.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16 or bfloat16. Else what suits the device.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="PNG file, replaced if it exists; with --count name-1.png, name-2.png... Or a folder. "
            "Else armature-SEED.png.",
        ),
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="A PNG of Armature's whose settings are repeated; options given beside it win.")
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="A file of prompts, one a line; or .jsonl with prompt, seed and negative_prompt."),
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help="Also write one sheet of all, with prompts and seeds.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw again whenever a control's file is saved, until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print files, settings, notes and report as JSON, one line a prompt.")
    ] = False,
) -> None:
    """Make pictures that follow the prompt and the controls. Without --base everything works offline."""
    from armature.cli.quiet import quiet_libraries

    if prompts is not None and prompt is not None:
        raise RecipeError("PROMPT and --prompts are both given; give one of the two.")
    if prompt is None and prompts is None and like is None:
        raise RecipeError("There is nothing to draw: give PROMPT, --prompts FILE, or --like PICTURE.")
    options: dict[str, Any] = {
        "prompt": prompt,
        "controls": [parse_control(text) for text in control or []] or None,
        "base": base,
        "adapters": parse_adapters(adapter or []) or None,
        "image": init,
        "strength": strength,
        "mask_image": inpaint,
        "negative_prompt": negative,
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "sampler": sampler,
        "seed": seed,
        "num_images_per_prompt": count,
        "size": parse_size(size),
        "vae": vae,
        "config": base_config,
        "device": device,
        "dtype": dtype,
    }
    quiet_libraries()
    from armature.cli.draw import Drawing, Target, watched_files
    from armature.cli.watch import watch as watch_files

    target = Target.checked(out, numbered=prompts is not None)
    arguments = {name: value for name, value in options.items() if value is not None}
    if like is not None:
        from armature.generation.repeat import settings_of

        arguments = settings_of(like, **arguments)
    if strength is not None and "image" not in arguments:
        raise RecipeError("--strength says how much of a picture is redone, and there is none; add --init, or drop it.")
    drawing = Drawing.of(arguments, prompts, target, grid=grid, as_json=as_json)
    if not watch:
        drawing.draw()
        return
    files = watched_files(arguments)
    drawing.say(f"watching {', '.join(str(path) for path in files)}; Ctrl-C ends it.")
    watch_files(files, drawing.draw, drawing.say)
