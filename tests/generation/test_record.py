"""Settings inside the PNG."""

import json
from dataclasses import replace

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from armature.errors import ArmatureError, ConditionError, RecipeError
from armature.files import public_name
from armature.generation.record import check_target, parameters_text, read_settings, write_pictures
from armature.generation.settings import ControlSettings, PictureName, Settings, name_picture

CONTROL = ControlSettings(
    "sketch",
    "embedded:sketch",
    PictureName("cat.png", "ab"),
    "",
    0.8,
    (1.0, 0.5),
    0.0,
    0.6,
    PictureName(),
    "stretch",
    "both",
)
SETTINGS = Settings(
    prompt="a cat,\nsitting: \u00fcber \u732b", negative="dog", mode="text", base="owner/model", vae="", config="",
    family="sd", sampler="euler-a", steps=20, guidance=7.5, seed=2**40, count=2, width=512, height=768, strength=1.0,
    init=PictureName(), inpaint=PictureName(), controls=(CONTROL,), dtype="float32", device="cpu",
)  # fmt: skip
IMAGES = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]


def test_every_file_carries_the_settings_that_make_it_alone(tmp_path):
    paths = [tmp_path / "new" / "a.png", tmp_path / "new" / "b.png"]
    write_pictures(IMAGES, SETTINGS, paths)
    assert read_settings(paths[0]) == replace(SETTINGS, count=1)
    assert read_settings(paths[1]) == replace(SETTINGS, count=1, seed=2**40 + 1)
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["a.png", "b.png"]


def test_the_text_is_what_other_tools_read(tmp_path):
    from armature.version import __version__

    write_pictures(IMAGES[:1], replace(SETTINGS, count=1), [tmp_path / "a.png"])
    with Image.open(tmp_path / "a.png") as image:
        text = image.info["parameters"]
        record = json.loads(image.info["armature"])
    assert text == (
        "a cat,\nsitting: \u00fcber \u732b\n"
        "Negative prompt: dog\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 1099511627776, Size: 512x768, Model: owner/model, "
        'T2I-Adapter 0: "kind: sketch, model: embedded:sketch, image: cat.png, weight: 0.8, levels: 1/0.5, start: 0, '
        f'end: 0.6, guidance half: both", Version: armature {__version__}'
    )
    assert record["version"] == 3
    assert record["software"] == f"armature {__version__}"


def test_image_to_image_says_its_strength_as_denoising():
    assert "Denoising strength: 0.6" in parameters_text(replace(SETTINGS, mode="image", strength=0.6))


def test_a_failing_disk_leaves_the_old_files_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    saved = []

    def full(image, target, *rest, **options):
        if saved:
            raise OSError(28, "No space left on device")
        saved.append(target)
        target.write_bytes(b"half")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ArmatureError, match=r"cannot be written: .*No space left on device"):
        write_pictures(IMAGES, SETTINGS, [path, tmp_path / "b.png"])
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"


def _with_text(path, text):
    info = PngInfo()
    if text is not None:
        info.add_text("armature", text)
    IMAGES[0].save(path, pnginfo=info)
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "carries no settings of Armature"),
        ("{", "are damaged"),
        ("[1]", "holds no settings of a generated picture"),
        ('{"format": 1, "kind": "depth"}', "holds no settings of a generated picture"),
        ('{"kind": "generation", "version": 99}', "has version 99; this Armature reads version 3"),
        ('{"kind": "generation", "version": 3}', "is damaged: it has no 'prompt'"),
        (json.dumps({**SETTINGS.to_record(), "steps": "20"}), "steps is a str, not int"),
        (json.dumps({**SETTINGS.to_record(), "guidance": float("nan")}), "it holds NaN, which is no number of JSON"),
        (json.dumps({**SETTINGS.to_record(), "mode": "video"}), "mode is 'video'"),
    ],
)
def test_foreign_and_damaged_records_are_refused(tmp_path, text, told):
    with pytest.raises(ConditionError, match=told):
        read_settings(_with_text(tmp_path / "a.png", text))


def test_only_names_of_local_files_are_recorded(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    assert public_name(file) == "model.safetensors"
    assert public_name("owner/model") == "owner/model"
    assert public_name("embedded:sketch") == "embedded:sketch"
    assert name_picture(file).name == "model.safetensors"


def test_targets_that_cannot_be_written_are_told_beforehand(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecipeError, match="written as PNG, which carries their settings; --out is"):
        check_target(tmp_path / "a.jpg")
    with pytest.raises(RecipeError, match="is no writable folder"):
        check_target(tmp_path / "file" / "a.png")
    check_target(tmp_path / "new" / "deeper" / "a.png")


def test_a_record_deeper_than_any_reader_is_refused(tmp_path):
    with pytest.raises(ConditionError, match="are damaged: it is nested more than 64 deep"):
        read_settings(_with_text(tmp_path / "a.png", '{"prompt":' * 50_000))
