"""`armature generate`: files and words that come out, and bad input, each one line with exit code 2."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from armature.cli.main import app
from armature.generation.record import read_settings


@pytest.fixture
def run(bases, tmp_path, monkeypatch):
    """Run the verb on the small base, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, base=True):
        given = ["--base", str(bases["sd"]), "--steps", "2"] if base else []
        return CliRunner().invoke(app, ["generate", "a red house", *given, *map(str, arguments)])

    return call


@pytest.fixture
def sketch(bases):
    """The option that names the adapter."""
    return f"--adapter=sketch={bases['sketch']}"


def pixels(path):
    return np.asarray(Image.open(path))


def test_a_picture_with_its_settings_and_nothing_else_on_the_outputs(run, sketch, pictures):
    done = run("--control", f"sketch={pictures['lines']},weight=0.8,end=0.5", sketch, "--seed", 7, "--out", "house.png")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "house.png\n", "")
    settings = read_settings("house.png")
    assert (settings.seed, settings.controls[0].weight, settings.controls[0].end) == (7, 0.8, 0.5)
    assert settings.controls[0].image.name == "lines.png"
    assert Image.open("house.png").info["parameters"].startswith("a red house\nSteps: 2, Sampler: DDIM")


def test_what_was_done_to_the_drawing_is_said(run, sketch, pictures):
    done = run("-c", f"sketch={pictures['ink']}", sketch, "--out", "a.png")
    assert done.exit_code == 0
    assert done.stderr == "note: sketch control: Dark lines on light paper were turned into white lines on black.\n"


def test_several_pictures_are_numbered_and_a_folder_gets_names_of_seeds(run):
    Path("there").mkdir()
    assert run("--count", 2, "--seed", 3, "--out", "a.png").stdout == "a-1.png\na-2.png\n"
    assert run("--count", 2, "--seed", 3, "--out", "there").stdout.split() == [
        "there/armature-3.png",
        "there/armature-4.png",
    ]
    assert run("--seed", 4).stdout == "armature-4.png\n"
    assert np.array_equal(pixels("a-2.png"), pixels("armature-4.png"))


def test_an_existing_file_is_replaced(run):
    Path("a.png").write_bytes(b"old")
    assert run("--seed", 1, "--out", "a.png").exit_code == 0
    assert read_settings("a.png").seed == 1


def test_json_names_files_settings_notes_and_report(run, sketch, pictures):
    done = run("-c", f"sketch={pictures['ink']},levels=1/0.5/0,start=0.5", sketch, "--json", "--out", "a.png")
    answer = json.loads(done.stdout)
    assert answer["written"] == ["a.png"]
    assert answer["settings"]["controls"][0]["levels"] == [1.0, 0.5, 0.0]
    assert answer["notes"][0].startswith("sketch control: Dark lines")
    assert answer["report"]["controls"][0]["active"] == [1]
    assert done.stderr == ""


def test_init_inpaint_sampler_and_size_reach_the_picture(run, pictures):
    done = run("--init", pictures["photo"], "--strength", 0.5, "--inpaint", pictures["mask"], "--sampler", "Euler a",
               "--size", "72x64", "--out", "a.png")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    settings = read_settings("a.png")
    assert (settings.mode, settings.sampler, settings.strength) == ("inpaint", "euler-a", 0.5)
    assert (settings.width, settings.height) == (72, 64)


def grey(image):
    return image.convert("L")


def rgba(image):
    made = image.convert("RGBA")
    made.putalpha(image.convert("L").point(lambda value: value))
    return made


def sixteen(image):
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def palette(image):
    return image.convert("P")


@pytest.mark.parametrize(
    ("change", "note"),
    [(grey, ""), (palette, ""), (sixteen, ""), (rgba, "Transparent parts were laid on black.")],
)
def test_grey_palette_sixteen_bit_and_transparent_pictures_work_alike(run, sketch, pictures, change, note):
    change(Image.open(pictures["lines"])).save("other.png")
    done = run("-c", "sketch=other.png", sketch, "--seed", 1, "--out", "a.png")
    assert done.exit_code == 0, done.stderr
    assert note in done.stderr
    assert run("-c", f"sketch={pictures['lines']}", sketch, "--seed", 1, "--out", "b.png").exit_code == 0
    assert np.array_equal(pixels("a.png"), pixels("b.png"))


def bad_files(folder):
    Image.new("L", (64, 64), 0).save(folder / "black.png")
    Image.new("L", (64, 64), 255).save(folder / "white.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-c", "sketch=gone.png"], "No picture at 'gone.png'."),
        (["-c", "sketch=text.png"], "'text.png' cannot be read as a picture (UnidentifiedImageError)"),
        (["-c", "sketch=empty.png"], "'empty.png' is empty (0 bytes)."),
        (["-c", "sketch=black.png"], "The sketch control is all black: it holds no line."),
        (["-c", "sketch=white.png"], "The sketch control is blank: it holds no line."),
        (["-c", "sktch=LINES"], "Unknown kind of control 'sktch'; known kinds: sketch, canny,"),
        (["-c", "sketch"], "--control 'sketch' names no picture; expected KIND=IMAGE[,weight=W]"),
        (["-c", "sketch=LINES,weight=much"], "--control sketch: weight is 'much'; expected a number."),
        (["-c", "sketch=LINES,weight=nan"], "weight is nan; expected a finite number."),
        (["-c", "sketch=LINES,wieght=1"], "has an unknown option 'wieght=1'; expected KIND=IMAGE"),
        (["-c", "sketch=LINES,end=1,end=1"], "gives end twice; give it once."),
        (["-c", "sketch=LINES,start=0.9,end=0.2"], "has start=0.9 and end=0.2; expected 0 <= start < end <= 1."),
        (["-c", "sketch=LINES,levels=1/2"], "levels has 2 numbers; this adapter has 3 levels, finest first."),
        (["-c", "sketch=LINES,levels=hard"], "Unknown level preset 'hard'; expected soft, or numbers such as"),
        (["-c", "sketch=LINES,mask=gone.png"], "No picture at 'gone.png'."),
        (["-c", "sketch=LINES,mask=black.png"], "The mask is black everywhere"),
        (["-c", "sketch=LINES,guidance_half=none"], "guidance_half is 'none'; expected one of 'both', 'conditional'."),
        (["-c", "sketch=LINES,extract=magic"], "Unknown extractor 'magic'"),
        (["-c", "sketch=LINES", "--size", "100x64"], "nearest are 96x64 or 104x64."),
        (["--size", "big"], "--size is 'big'; expected WxH in pixels"),
        (["--sampler", "eulr"], "Unknown sampler 'eulr'; known samplers: ddim,"),
        (["--seed", "-1"], "seed is -1, expected a whole number from 0"),
        (["--steps", "0", "--count", "0"], "at least 1; num_images_per_prompt is 0, expected a whole number"),
        (["--guidance", "-2"], "guidance_scale is -2.0, expected a number of at least 0"),
        (["--strength", "0.5"], "--strength says how much of a picture is redone, and there is none; add --init"),
        (["--init", "gone.png"], "No picture at 'gone.png'."),
        (["--init", "LINES", "--strength", "1.5"], "strength is 1.5, expected a number above 0 and up to 1."),
        (["--inpaint", "LINES"], "give it as image (--init)."),
        (["--base", "gone"], "There is no base model 'gone'"),
        (["--vae", "gone/vae/none"], "The VAE 'gone/vae/none' is no file or folder here and not in the hub's cache"),
        (["--dtype", "float8"], "dtype is 'float8'; expected float32, float16, bfloat16."),
        (["--adapter", "sketch"], "--adapter 'sketch' is not KIND=REF"),
        (["--adapter", "depth=x"], "and no control is of that kind"),
        (["--out", "a.jpg"], "Pictures are written as PNG, which carries their settings; --out is 'a.jpg'."),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_nothing_written(run, sketch, pictures, tmp_path, arguments, told):
    bad_files(tmp_path)
    before = sorted(tmp_path.iterdir())
    given = [argument.replace("LINES", str(pictures["lines"])) for argument in arguments]
    wanted = [sketch] if any(argument.startswith("sketch=") for argument in arguments) else []
    target = [] if "--out" in given else ["--out", "a.png"]
    done = run(*given, *wanted, *target)
    assert done.exit_code == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("armature: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_an_unknown_kind_suggests_the_nearest(run):
    assert "Did you mean 'sketch'?" in run("-c", "skech=a.png").stderr


def test_a_misspelt_option_suggests_the_nearest(run, pictures):
    assert "Did you mean 'weight'?" in run("-c", f"sketch={pictures['lines']},wieght=1").stderr


def test_a_comma_in_a_file_name_is_part_of_it(run, sketch, pictures):
    Path("a, b.png").write_bytes(pictures["lines"].read_bytes())
    assert run("-c", "sketch=a, b.png,weight=0.5", sketch, "--out", "c.png").exit_code == 0
    assert read_settings("c.png").controls[0].image.name == "a, b.png"


def test_no_adapter_for_another_base_says_how_to_name_one(run, pictures):
    assert "--adapter sketch=REF" in run("-c", f"sketch={pictures['lines']}").stderr
