"""A picture's record as arguments: the same picture again, other options beside it, and what is missing by name."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import armature
from armature.errors import RecipeError
from armature.generation.controls import ControlRequest
from armature.generation.generate import generate
from armature.generation.record import write_pictures
from armature.generation.repeat import settings_of


@pytest.fixture
def made(bases, pictures, tmp_path, monkeypatch):
    """A picture with two controls, from files that lie beside it, and its path."""
    monkeypatch.chdir(tmp_path)
    for name in ("lines", "photo", "mask"):
        shutil.copy(pictures[name], f"{name}.png")
    shutil.copytree(bases["sd"], "sd")
    shutil.copytree(bases["sketch"], "my-sketch")
    controls = [
        ("sketch", "lines.png", {"weight": 0.8, "end": 0.5, "fit": "crop", "mask": "mask.png", "levels": (1, 0.5, 0)}),
        ("canny", "photo.png", {"extract": True, "start": 0.5}),
    ]
    one = generate(
        "a red house", controls, base="sd", adapters={"sketch": "my-sketch", "canny": "my-sketch"}, image="photo.png",
        strength=0.75, negative_prompt="a cat", num_inference_steps=4, guidance_scale=3.5, sampler="euler-a", seed=9,
        size=(72, 64),
    )  # fmt: skip
    write_pictures(one.images, one.settings, [tmp_path / "house.png"])
    return one, tmp_path / "house.png"


def test_the_same_picture_comes_out_again_from_another_folder_too(made, tmp_path, monkeypatch):
    one, path = made
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = generate(**armature.settings_of(path))
    assert again.settings == one.settings
    assert np.array_equal(np.asarray(again.images[0]), np.asarray(one.images[0]))


def test_what_is_given_beside_it_wins(made):
    path = "house.png"
    arguments = settings_of(
        path, seed=3, prompt="a tree", width=96, height=96, base="other", controls=("scribble", "x")
    )
    assert (arguments["seed"], arguments["prompt"], arguments["base"]) == (3, "a tree", "other")
    assert "size" not in arguments
    # The control of the same kind is replaced, the other one stays; the adapters are those of before.
    assert [(one.kind, str(one.image)) for one in arguments["controls"]] == [("canny", "photo.png"), ("sketch", "x")]
    assert arguments["adapters"] == {"sketch": "my-sketch", "canny": "my-sketch"}
    assert settings_of(path, adapters={"scribble": "y"})["adapters"] == {"sketch": "y", "canny": "my-sketch"}


def test_controls_come_back_as_they_were_asked_for(made):
    sketch, canny = settings_of("house.png")["controls"]
    assert isinstance(sketch, ControlRequest)
    assert (sketch.weight, sketch.end, sketch.fit, sketch.levels) == (0.8, 0.5, "crop", (1.0, 0.5, 0.0))
    assert (str(sketch.mask), sketch.extract) == ("mask.png", False)
    assert (canny.extract, canny.start, canny.mask) == ("canny", 0.5, None)


def test_all_that_is_missing_or_changed_is_named_with_its_option(made, tmp_path):
    _, path = made
    (tmp_path / "mask.png").unlink()
    shutil.rmtree(tmp_path / "sd")
    shutil.rmtree(tmp_path / "my-sketch")
    Image.new("L", (64, 64), 200).save(tmp_path / "lines.png")
    with pytest.raises(RecipeError) as caught:
        settings_of(path)
    told = str(caught.value)
    assert "lines.png is not the picture that it was (--control sketch=PICTURE)" in told
    assert "mask.png is not there (--control sketch=PICTURE,mask=PICTURE)" in told
    assert "sd is not there (--base REF)" in told
    assert "my-sketch is not there (--adapter sketch=REF)" in told
    assert "photo.png" not in told.replace(str(path), "")
    # What others stand in for need not be there.
    settings_of(path, base="x", controls=("sketch", "y"), adapters={"sketch": "z", "canny": "z"})


def with_record(path, change):
    """The picture with its record changed."""
    from PIL.PngImagePlugin import PngInfo

    with Image.open(path) as image:
        record = json.loads(image.info["armature"])
        change(record)
        info = PngInfo()
        info.add_text("armature", json.dumps(record))
        image.save(path, pnginfo=info)


def test_a_records_names_do_not_lead_out_of_the_folders(made, tmp_path):
    _, path = made
    outside = tmp_path.parent / "secret.png"
    shutil.copy(tmp_path / "photo.png", outside)
    with_record(path, lambda record: record["init"].update(name="../secret.png"))
    with pytest.raises(RecipeError, match=r"\.\./secret\.png is not there \(--init PICTURE\)"):
        settings_of(path)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("steps", 10**9, "steps is 1000000000, expected 1 to 100000"),
        ("steps", 10**400, "damaged: it holds a number of 401 digits"),
        ("steps", True, "steps is a bool, not int"),
        ("width", 10**9, "width is 1000000000, expected 8 to"),
        ("height", -8, "height is -8, expected 8 to"),
        ("seed", -1, "seed is -1, expected 0 to"),
        ("count", 10**7, "count is 10000000, expected 1 to"),
        ("guidance", 10**400, "damaged: it holds a number of 401 digits"),
        ("guidance", 1e300, r"guidance is 1e\+300, expected"),
        ("guidance", "7", "guidance is a str, not a number"),
        ("strength", 7.0, "strength is 7.0, expected 0.0 to 1.0"),
        ("controls", [[]] * 200, "controls has 200 entries, expected at most 100"),
        ("controls", 7, "controls is a int, not a list"),
        ("controls", [7], "it has a int in place of ControlSettings"),
        ("init", 7, "it has a int in place of PictureName"),
        ("prompt", None, "prompt is a NoneType, not str"),
        ("prompt", "\ud800", "surrogates not allowed"),
    ],
)
def test_absurd_records_are_one_sentence(made, name, value, told):
    with_record(made[1], lambda record: record.update({name: value}))
    with pytest.raises(armature.ConditionError, match=told) as caught:
        settings_of(made[1])
    assert len(str(caught.value)) < 400
