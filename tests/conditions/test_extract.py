import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from drawings import lines, photo
from PIL import Image

from armature.conditions.extract import extract
from armature.conditions.extractor import Extractor, Option
from armature.conditions.registry import extractor_names, find_extractor, register, unregister
from armature.errors import ConditionError

OFFLINE = ("canny", "sketch", "lineart", "softedge", "color", "tile", "grey")


def test_importing_the_room_pulls_in_no_heavy_library():
    code = (
        "import sys, armature.conditions.control_map, armature.conditions.extract\n"
        "import armature.conditions.picture.drawing\n"
        "from armature.conditions.registry import extractor_names, find_extractor\n"
        "[find_extractor(name) for name in extractor_names()]\n"
        "print([m for m in ('torch', 'transformers', 'cv2', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_offline_extractors_run_without_torch():
    code = (
        "import sys, numpy as np; from armature.conditions.extract import extract\n"
        "x = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)\n"
        f"[extract(kind, x) for kind in {OFFLINE}]\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("kind", OFFLINE)
def test_the_map_has_the_pictures_size_and_the_contracts_channels(kind):
    extractor = find_extractor(kind)
    for picture in (photo(96), photo(96).convert("L"), photo(96).crop((0, 0, 96, 41)), Image.new("RGB", (9, 8))):
        result = extract(kind, picture)
        assert result.size == picture.size
        assert result.mode == extractor.contract.order


@pytest.mark.parametrize("kind", OFFLINE)
def test_the_same_for_path_pil_numpy_and_tensor_and_on_every_run(kind, tmp_path):
    tones = np.asarray(photo(80))
    Image.fromarray(tones).save(tmp_path / "a.png")
    first = np.asarray(extract(kind, tmp_path / "a.png"))
    tensor = torch.from_numpy(tones.copy()).permute(2, 0, 1)
    for source in (tmp_path / "a.png", Image.fromarray(tones), tones, tensor, tensor / 255.0):
        np.testing.assert_array_equal(np.asarray(extract(kind, source)), first)


def test_canny_equals_opencv_for_equal_thresholds():
    for picture in (photo(), photo().convert("L")):
        for low, high in ((50, 100), (100, 200)):
            expected = cv2.Canny(np.asarray(picture), low, high)
            np.testing.assert_array_equal(np.asarray(extract("canny", picture, low=low, high=high)), expected)


def test_automatic_canny_finds_edges_in_dark_and_bright_pictures():
    tones = np.asarray(photo()).astype(np.float32)
    for shift in (tones * 0.4, tones, 130 + tones * 0.45):
        share = (np.asarray(extract("canny", shift.astype(np.uint8))) > 0).mean()
        assert 0.005 < share < 0.25


def test_color_equals_the_authors_formula():
    tones = np.random.default_rng(0).integers(0, 256, (200, 333, 3), dtype=np.uint8)
    few = cv2.resize(tones, (333 // 64, 200 // 64), interpolation=cv2.INTER_CUBIC)
    expected = cv2.resize(few, (333, 200), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(np.asarray(extract("color", tones)), expected)


def test_embedded_color_has_eight_patches_a_side():
    colours = np.asarray(extract("embedded:color", photo(128)))
    assert (colours.reshape(8, 16, 8, 16, 3) == colours.reshape(8, 16, 8, 16, 3)[:, :1, :, :1]).all()


@pytest.mark.parametrize("kind", ["sketch", "lineart", "softedge", "canny"])
def test_line_extractors_mark_the_outline_and_little_else(kind):
    truth = np.asarray(lines(255, 0, size=256, width=1)) > 0
    filled = np.zeros((256, 256, 3), np.uint8) + np.array([60, 90, 160], np.uint8)
    cv2.ellipse(filled, (128, 115), (77, 77), 0, 0, 360, (220, 180, 90), -1, cv2.LINE_AA)
    filled = np.clip(filled + np.random.default_rng(0).normal(0, 3, filled.shape), 0, 255).astype(np.uint8)
    found = np.asarray(extract(kind, filled)) > 127
    near = cv2.dilate(truth.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    circle = truth.copy()
    circle[200:] = False
    assert found[~near].mean() < 0.002
    assert (cv2.dilate(found.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0)[circle].mean() > 0.97


@pytest.mark.parametrize("kind", ["sketch", "lineart", "softedge"])
def test_an_empty_wall_gives_an_empty_map(kind):
    wall = np.clip(np.random.default_rng(0).normal(140, 3, (192, 192, 3)), 0, 255).astype(np.uint8)
    assert (np.asarray(extract(kind, wall)) > 127).mean() < 0.002


def test_sketch_is_binary_and_detail_adds_lines():
    amounts = []
    for detail in (0.0, 0.5, 1.0):
        result = np.asarray(extract("sketch", photo(), detail=detail))
        assert set(np.unique(result)) <= {0, 255}
        amounts.append(result.mean())
    assert amounts[0] < amounts[1] <= amounts[2]


def test_wrong_options_are_reported_together():
    with pytest.raises(ConditionError) as error:
        extract("canny", photo(), low=-1, high="x", threshold=3)
    assert str(error.value) == (
        "Extractor 'canny': threshold is no option; low=-1 must lie in 0..2000; high='x' must be a number. "
        "Its options: low, high, blur."
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 10}, "give both thresholds, or neither"),
        ({"low": 90, "high": 10}, "low=90 is above high=10; swap them"),
        ({"blur": float("nan")}, "blur=nan must lie in 0..20"),
        ({"blur": True}, "blur=True must be a number"),
        ({"blur": None}, "blur must not be None"),
    ],
)
def test_wrong_canny_values(options, message):
    with pytest.raises(ConditionError, match=message):
        extract("canny", photo(), **options)


def test_whole_numbers_choices_and_booleans_are_checked():
    with pytest.raises(ConditionError, match=r"block=2\.5 must be a whole number"):
        extract("color", photo(), block=2.5)
    with pytest.raises(ConditionError, match="Unknown kind of control 'dots'; known kinds: sketch, canny"):
        extract("map", lines(), of="dots")
    with pytest.raises(ConditionError, match="strict='no' must be true or false"):
        extract("map", lines(), strict="no")


def test_ready_maps_are_checked():
    np.testing.assert_array_equal(np.asarray(extract("map", lines())), np.asarray(lines()))
    np.testing.assert_array_equal(np.asarray(extract("map", lines(0, 255))), np.asarray(lines()))
    with pytest.raises(ConditionError, match="Not a sketch map: This looks like a picture"):
        extract("map", photo())
    with pytest.raises(ConditionError, match=r"Not a seg map: .* not in the coco-stuff palette"):
        extract("map", photo(), of="seg")
    assert extract("map", photo(), of="seg", strict=False).mode == "RGB"


def test_names_of_other_tools_find_extractors():
    assert find_extractor("pidinet").name == "pidinet"
    assert find_extractor("hed").name == "hed"
    assert find_extractor("scribble").name == "sketch"
    assert find_extractor("soft-edge").name == "softedge"
    assert find_extractor("Midas").settings({})["model"] == "Intel/dpt-hybrid-midas"
    assert find_extractor("ade20k").settings({})["palette"] == "ade20k"
    assert find_extractor("segmentation").name == "seg"
    assert find_extractor("pose").name == "openpose"
    with pytest.raises(ConditionError, match=r"Unknown extractor 'cany'; known extractors: canny, .* mean 'canny'\?"):
        find_extractor("cany")
    with pytest.raises(ConditionError, match="'style' has no map to extract"):
        find_extractor("style")


def test_every_extractor_declares_itself():
    for name in extractor_names():
        extractor = find_extractor(name)
        assert extractor.name == name
        assert extractor.summary
        assert extractor.version >= 1
        assert extractor.licence
        assert json.dumps(extractor.metadata(extractor.settings({})))
        for weights in extractor.weights:
            assert weights.megabytes > 0
            assert weights.licence
            assert weights.home
        if extractor.offline is not None:
            assert not find_extractor(extractor.offline).weights
        for option in extractor.options:
            assert option.problem(option.default) is None


def test_an_extractor_of_ones_own():
    mine = Extractor(
        "mine", "grey", "test", lambda picture, shade: Image.new("L", picture.size, shade),
        find_extractor("grey").contract, (Option("shade", 3, "tone", 0, 255, number=int),),
    )  # fmt: skip
    register(mine)
    try:
        assert extract("mine", photo(), shade=7).getpixel((0, 0)) == 7
        with pytest.raises(ConditionError, match="The extractor 'mine' exists; choose another name"):
            register(mine)
    finally:
        unregister(mine)
    with pytest.raises(ConditionError, match="Unknown extractor 'mine'"):
        find_extractor("mine")


def test_sketch_takes_a_drawings_lines_as_they_are():
    expected = np.asarray(lines())
    np.testing.assert_array_equal(np.asarray(extract("sketch", lines(0, 255))), expected)
    np.testing.assert_array_equal(np.asarray(extract("embedded:sketch", lines())), expected)
    doubled = np.asarray(extract("sketch", lines(0, 255), drawings=False))
    assert (doubled != expected).any()


def test_dark_outlines_become_one_stroke():
    outlined = np.full((256, 256, 3), (120, 170, 220), np.uint8)
    cv2.circle(outlined, (128, 128), 70, (230, 120, 90), -1, cv2.LINE_AA)
    cv2.circle(outlined, (128, 128), 70, (20, 20, 30), 1, cv2.LINE_AA)
    row = np.asarray(extract("sketch", outlined))[128, 128:] > 0
    # One run of white from the middle outwards, where two edges would give two.
    assert (np.diff(row.astype(int)) == 1).sum() == 1
