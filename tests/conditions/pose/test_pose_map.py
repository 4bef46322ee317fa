"""An OpenPose JSON file is a control: drawn as the picture would be, or refused in one sentence."""

import json

import numpy as np
import pytest
from PIL import Image

from armature.conditions.control_map import prepare_control
from armature.conditions.kinds import contract_for
from armature.conditions.pose.drawing import draw_pose
from armature.conditions.pose.pose import pose_from_rows
from armature.conditions.pose.pose_map import pose_pixels
from armature.errors import ConditionError

STANDING = [
    (256, 80), (256, 140), (200, 145), (180, 220), (170, 290), (312, 145), (335, 220), (350, 285), (220, 300),
    (215, 390), (210, 480), (290, 300), (300, 390), (305, 480), (246, 70), (266, 70), (230, 78), (282, 78),
]  # fmt: skip
FLAT = [value for x, y in STANDING for value in (x, y, 1.0)]
PERSON = {"pose_keypoints_2d": FLAT, "hand_left_keypoints_2d": [1.0] * 63, "face_keypoints_2d": None}


def write(folder, content):
    path = folder / "pose.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_file_gives_the_map_that_its_drawing_gives(tmp_path):
    path = write(tmp_path, {"people": [PERSON], "canvas_width": 512, "canvas_height": 640})
    drawing = draw_pose(pose_from_rows(STANDING), (512, 640))
    for family in ("sd", "sdxl"):
        contract = contract_for("openpose", family=family)
        for size in (None, (128, 160)):
            ours = prepare_control(str(path), contract, size=size)
            assert np.array_equal(ours.tensor, prepare_control(drawing, contract, size=size).tensor)
    assert "18 joints of 1 person were drawn." in ours.notes


def test_without_a_canvas_the_people_stand_in_its_middle(tmp_path):
    pixels = pose_pixels(write(tmp_path, {"people": [PERSON]}))
    # Joints from 170 to 350 and from 70 to 480.
    assert pixels.values.shape == (550, 520, 3)
    assert pixels.notes[1] == "The file states no canvas_width and canvas_height; 520 x 550 px were assumed."


def test_other_kinds_read_no_pose_files(tmp_path):
    path = write(tmp_path, {"people": [PERSON]})
    with pytest.raises(ConditionError, match="cannot be read as a picture"):
        prepare_control(path, contract_for("depth"))


def person(**joints):
    flat = list(FLAT)
    for place, value in joints.items():
        flat[int(place[1:])] = value
    return {"people": [{"pose_keypoints_2d": flat}]}


CANVAS = {"people": [PERSON]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (person(n0=float("nan")), "is not JSON .it holds NaN, which is no number of JSON"),
        (person(n4=float("inf")), "is not JSON .it holds Infinity"),
        (person(n1=1e300), r"person 0 has 1e\+300 among"),
        (person(n1=10**400), "it holds a number of 401 digits"),
        (person(n2="1"), "person 0 has '1' among"),
        (person(n2=True), "person 0 has True among"),
        (person(n2=[1]), r"person 0 has \[1\] among"),
        ({"people": [{"pose_keypoints_2d": FLAT[:-1]}]}, r"of 18 or 25 joints with x, y, score \(54 or 75 numbers\)"),
        ({"people": [{"pose_keypoints_2d": "54"}]}, "person 0 has no 'pose_keypoints_2d'"),
        ({"people": ["nobody"]}, "person 0 has no 'pose_keypoints_2d'"),
        ({"people": [PERSON] * 501}, "has 501 people; expected at most 500 in one picture"),
        ({"people": []}, "has nobody in it"),
        ({"people": [{"pose_keypoints_2d": [0] * 54}]}, "has nobody in it"),
        (
            {**CANVAS, "canvas_width": 10**9, "canvas_height": 10**9},
            "has a canvas of 1000000000 x 1000000000; ",
        ),
        (
            {**CANVAS, "canvas_width": 10**7, "canvas_height": 64},
            "10000000 x 64 px, above the limit of 64000000",
        ),
        ({**CANVAS, "canvas_width": 512.5, "canvas_height": 512}, "has a canvas of 512.5 x 512; expected whole pixels"),
        ({**CANVAS, "canvas_width": -512, "canvas_height": 512}, "has a canvas of -512 x 512; expected whole pixels"),
        ({**CANVAS, "canvas_width": "512", "canvas_height": 512}, "has a canvas of '512' x 512; expected whole pixels"),
        ({**CANVAS, "canvas_width": float("nan"), "canvas_height": 512}, "is not JSON .it holds NaN"),
        ({**CANVAS, "canvas_width": 4, "canvas_height": 4}, "4 x 4 px was asked for; expected at least 8"),
        ({**CANVAS, "canvas_width": 32, "canvas_height": 32}, "outside its canvas of 32 x 32 px"),
        ({"people": [{"pose_keypoints_2d": [0.5] * 54}]}, "in parts of a canvas that it does not state"),
        (person(n0=9e5, n1=9e5), "above the limit of 64000000 pixels"),
        ([{"people": []}, {"people": []}], "holds 2 frames; expected one"),
        ("[" * 100_000, "is not JSON"),
        ('{"people": ' + "9" * 5000 + "}", "is not JSON"),
        ("\x00\x01", "is not JSON"),
    ],
)
def test_absurd_files_are_one_sentence(tmp_path, content, told):
    with pytest.raises(ConditionError, match=told) as caught:
        pose_pixels(write(tmp_path, content))
    assert len(str(caught.value)) < 400


def test_a_file_that_is_no_text_is_one_sentence(tmp_path):
    path = tmp_path / "pose.json"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConditionError, match="is not JSON"):
        pose_pixels(path)
    with pytest.raises(ConditionError, match="No pose file can be read at"):
        pose_pixels(tmp_path / "gone.json")


def test_the_largest_crowd_is_drawn_in_reasonable_time(tmp_path):
    path = write(tmp_path, {"people": [PERSON] * 500, "canvas_width": 512, "canvas_height": 512})
    one = np.asarray(draw_pose(pose_from_rows(STANDING), (512, 512)))
    # The same person five hundred times is that person, limbs over limbs.
    assert np.array_equal(np.rint(pose_pixels(path).values * 255).astype(np.uint8), one)
    assert Image.fromarray(one).getbbox() is not None
