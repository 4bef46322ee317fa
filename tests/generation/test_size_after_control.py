"""Without a size, a picture is as large as its first control, within what the base draws well."""

import functools

import numpy as np
import pytest
import small_bases as small
from PIL import Image, ImageDraw

import armature
from armature.generation.generate import generate
from armature.generation.models import Models
from armature.generation.pictures import size_after_control, size_note


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ((512, 512), (512, 512)),
        ((768, 512), (768, 512)),
        ((701, 499), (704, 496)),
        ((768, 768), (768, 768)),
        # Above 2.25 times, and below a 2.25th of, the base's own pixels: as many as its own.
        ((4000, 3000), (592, 440)),
        ((3000, 4000), (440, 592)),
        ((100, 100), (512, 512)),
        # A strip is no wider than four times its height.
        ((64_000, 64), (1024, 256)),
        ((8, 8000), (256, 1024)),
    ],
)
def test_sizes_for_a_base_of_512(given, made):
    assert size_after_control(given, (512, 512), 8) == made


def test_the_embedded_bases_size_stays_for_square_drawings_of_any_size():
    assert size_after_control((512, 512), (128, 128), 8) == (128, 128)
    assert size_after_control((128, 128), (128, 128), 8) == (128, 128)
    assert size_after_control((640, 480), (128, 128), 8) == (144, 112)


def test_only_a_size_that_is_neither_the_controls_nor_the_bases_is_told():
    assert size_note("sketch", (512, 512), (128, 128), (128, 128)) == ()
    assert size_note("sketch", (144, 96), (144, 96), (128, 128)) == ()
    assert size_note("sketch", (700, 500), (152, 104), (128, 128)) == (
        "The sketch control is 700 x 500 px; the picture is 152 x 104 px, the nearest that this base draws well. Ask "
        "for another with size (--size).",
    )


@pytest.fixture(scope="module")
def make(bases):
    models = Models(bases["sd"], adapters={"sketch": small.sd_adapter(), "depth": small.sd_adapter("depth")})
    return functools.partial(generate, "a red house", base=models, num_inference_steps=1, seed=5)


def lines(width, height):
    picture = Image.new("L", (width, height), 0)
    ImageDraw.Draw(picture).rectangle((8, 8, width - 9, height - 9), outline=255, width=3)
    return picture


def test_the_first_control_decides_and_the_record_says_what_was_made(make):
    made = make([("sketch", lines(96, 64)), ("depth", lines(64, 64))])
    assert made.images[0].size == (made.settings.width, made.settings.height) == (96, 64)
    assert not [note for note in made.notes if "draws well" in note]
    rounded = make(("sketch", lines(99, 60)))
    assert rounded.images[0].size == (96, 64)
    assert rounded.notes[0].startswith("The sketch control is 99 x 60 px; the picture is 96 x 64 px")


def test_a_size_that_is_asked_for_and_one_of_a_start_come_first(make, pictures):
    assert make(("sketch", lines(96, 64)), size=(64, 72)).images[0].size == (64, 72)
    started = make(("sketch", lines(96, 64)), image=pictures["photo"], strength=1.0)
    assert started.images[0].size == (64, 64)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_the_fit_is_recorded_and_shown_as_the_adapter_saw_it(make, fit):
    made = make(("sketch", lines(96, 64), {"fit": fit}), size=(64, 64))
    assert made.settings.controls[0].fit == fit
    seen = np.asarray(made.control_maps[0])
    # The upper edge of the box: where it was, or two thirds as high below a bar of 10 or 11 pixels.
    top = int(np.flatnonzero(seen[:, 32])[0])
    assert top == pytest.approx({"stretch": 8, "crop": 8, "pad": 10.5 + 8 * 2 / 3}[fit], abs=1)
    words = {"stretch": "Stretched", "crop": "Scaled to cover and cut at the edges", "pad": "Scaled to fit inside"}
    assert any(words[fit] in note for note in made.notes)


def test_models_take_their_adapters_and_place_once(make, bases):
    with pytest.raises(armature.RecipeError, match="The models are there already, and adapters, dtype belong to them"):
        generate("a house", base=Models(bases["sd"]), adapters={}, dtype="float32")


def test_models_open_once(bases, monkeypatch):
    import armature.generation.models as home

    opened = []
    monkeypatch.setattr(home, "open_base", lambda source, **named: opened.append(source) or "base")
    monkeypatch.setattr(home, "load_adapter", lambda source, **named: opened.append(source) or source)
    models = Models(bases["sd"], adapters={"scribble": "my/sketch"})
    assert (models.opened, models.base(), models.base(), models.opened) == (False, "base", "base", True)
    assert (models.adapter("sketch"), models.adapter("sketch"), models.adapter("depth")) == (
        "my/sketch", "my/sketch", "embedded:depth",
    )  # fmt: skip
    assert opened == [bases["sd"], "my/sketch", "embedded:depth"]
