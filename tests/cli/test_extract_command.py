import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from armature.cli.extract import extract
from armature.errors import ArmatureError

app = typer.Typer()
app.command("extract")(extract)


@pytest.fixture
def picture(tmp_path):
    tones = np.zeros((40, 60, 3), np.uint8)
    tones[10:30, 15:45] = 200
    Image.fromarray(tones).save(tmp_path / "box.png")
    return tmp_path / "box.png"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_one_picture(picture, tmp_path):
    done = run("canny", picture, "--out", tmp_path / "maps" / "m.png", "--set", "low=30", "--set", "high=60")
    assert done.exit_code == 0
    assert done.stdout.strip() == str(tmp_path / "maps" / "m.png")
    with Image.open(tmp_path / "maps" / "m.png") as image:
        assert image.size == (60, 40)
        assert json.loads(image.info["armature"])["settings"]["low"] == 30


def test_out_may_be_an_existing_folder_and_size_is_width_first(picture, tmp_path):
    (tmp_path / "maps").mkdir()
    assert run("grey", picture, "-o", tmp_path / "maps", "--size", "32x24").exit_code == 0
    with Image.open(tmp_path / "maps" / "box.png") as image:
        assert image.size == (32, 24)


def test_a_folder_reports_failures_and_exits_with_one(picture, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"?")
    done = run("grey", tmp_path, "--out", tmp_path / "maps", "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert (report["written"], report["kept"]) == (1, 0)
    assert "cannot be read as a picture" in report["failed"][0]["message"]
    (tmp_path / "bad.png").unlink()
    again = run("grey", tmp_path, "--out", tmp_path / "maps")
    assert again.exit_code == 0
    assert f"0 written, 1 up to date, 0 failed: {tmp_path / 'maps'}" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("canny",), "PICTURE is missing; usage: armature extract KIND PICTURE --out MAP"),
        (("canny", "box.png"), "--out MAP is missing"),
        (("dots", "box.png", "-o", "m.png"), "Unknown extractor 'dots'"),
        (("canny", "gone.png", "-o", "m.png"), "No picture at 'gone.png'"),
        (("canny", "box.png", "-o", "m.jpg"), "Maps are written as PNG"),
        (("canny", "box.png", "-o", "m.png", "--set", "low"), "--set 'low' is not name=value; options of canny: low,"),
        (("canny", "box.png", "-o", "m.png", "--set", "low=x"), "low='x' must be a number"),
        (("canny", "box.png", "-o", "m.png", "--size", "big"), "--size is 'big'; expected WxH"),
        (("canny", "box.png", "-o", "m.png", "--size", "512x4"), "fitted to 512 x 4 px; expected at least 8"),
        (("canny", "box.png", "-o", "m.png", "--fit", "fill"), "Unknown fit 'fill'"),
    ],
)
def test_mistakes_are_one_clear_error_and_nothing_is_written(picture, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert isinstance(done.exception, ArmatureError)
    assert message in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["box.png"]
