import json

import cv2
import numpy as np
import pytest

from armature.conditions.pose.drawing import draw_keypose, draw_pose
from armature.conditions.pose.pose import (
    Joint,
    Pose,
    PoseSheet,
    pose_from_coco,
    pose_from_rows,
    read_poses,
    write_poses,
)
from armature.errors import ConditionError
from armature.toyworld.maps import LIMBS, WHEEL

STANDING = [
    (256, 80), (256, 140), (200, 145), (180, 220), (170, 290), (312, 145), (335, 220), (350, 285), (220, 300),
    (215, 390), (210, 480), (290, 300), (300, 390), (305, 480), (246, 70), (266, 70), (230, 78), (282, 78),
]  # fmt: skip


def usual_drawing(joints, height, width):
    """The drawing that everybody knows, written down from its description: whole-pixel ellipses at 60 %, discs of 4."""
    canvas = np.zeros((height, width, 3), np.uint8)
    for (a, b), colour in zip(LIMBS, WHEEL, strict=False):
        (x0, y0), (x1, y1) = joints[a], joints[b]
        axes = (int(np.hypot(x0 - x1, y0 - y1) / 2), 4)
        angle = int(np.degrees(np.arctan2(y0 - y1, x0 - x1)))
        outline = cv2.ellipse2Poly((int((x0 + x1) / 2), int((y0 + y1) / 2)), axes, angle, 0, 360, 1)
        cv2.fillConvexPoly(canvas, outline, [int(part * 0.6) for part in colour])
    for (x, y), colour in zip(joints, WHEEL, strict=True):
        cv2.circle(canvas, (int(x), int(y)), 4, colour, -1)
    return canvas


def test_the_drawing_equals_the_usual_one_within_one_per_cent():
    ours = np.asarray(draw_pose(pose_from_rows(STANDING), (512, 512))).astype(int)
    golden = usual_drawing(STANDING, 512, 512).astype(int)
    drawn = (golden.sum(-1) > 0).sum()
    assert np.abs(ours - golden).mean() / 255 < 0.002
    # Relative to the figure itself; what differs are borders, because the usual drawing rounds to whole pixels.
    assert (np.abs(ours - golden).max(-1) > 40).sum() < 0.12 * drawn


def test_the_drawing_scales_with_the_picture():
    large = draw_pose(pose_from_rows(STANDING), (512, 512))
    small = draw_pose(pose_from_rows(STANDING).scaled(0.25, 0.25), (128, 128))
    shrunk = cv2.resize(np.asarray(large), (128, 128), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(shrunk - np.asarray(small)).mean() / 255 < 0.002


def test_unseen_joints_take_their_limbs_along():
    rows = [None] * 18
    rows[1], rows[2] = (100, 100), (200, 100)
    canvas = np.asarray(draw_pose(pose_from_rows(rows), (512, 512)))
    assert canvas[100, 150].tolist() == [153, 0, 0]
    assert canvas[100, 100].tolist() == [255, 85, 0]
    assert len(np.unique(canvas.reshape(-1, 3), axis=0)) == 4


def test_nobody_is_a_black_picture_and_a_tiny_one_an_error():
    assert np.asarray(draw_pose([], (48, 64))).shape == (64, 48, 3)
    assert np.asarray(draw_pose([], (64, 48))).max() == 0
    with pytest.raises(ConditionError, match="4 x 4 px was asked for; expected at least 8"):
        draw_pose([], (4, 4))


def test_joints_far_outside_do_not_crash():
    rows = [(1e12, -1e12)] + [(10.0 * i, 20.0) for i in range(17)]
    assert draw_pose(pose_from_rows(rows), (64, 64)).size == (64, 64)


def test_json_round_trip(tmp_path):
    sheet = PoseSheet((pose_from_rows([*STANDING[:17], None]), pose_from_rows(STANDING)), (512, 400))
    write_poses(tmp_path / "a.json", sheet)
    assert read_poses(tmp_path / "a.json") == sheet
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_body_25_and_parts_of_the_canvas_are_read():
    flat25 = [value for i in range(25) for value in (i, i, 1.0)]
    pose = read_poses({"people": [{"pose_keypoints_2d": flat25}]}).people[0]
    assert [joint.x for joint in pose.joints if joint] == [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        17,
        18,
    ]
    flat = [value for x, y in STANDING for value in (x / 512, y / 512, 1.0)]
    people = read_poses({"people": [{"pose_keypoints_2d": flat}], "canvas_width": 512, "canvas_height": 512}).people
    assert people[0].joints[4] == Joint(170, 290, 1)
    assert read_poses({"people": []}).people == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("{}", "has no list 'people'"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "person 0 has no 'pose_keypoints_2d' of 18 or 25 joints"),
        ('{"people": [{}]}', "person 0 has no"),
    ],
)
def test_bad_pose_files(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConditionError, match=message):
        read_poses(tmp_path / "a.json")
    with pytest.raises(ConditionError, match=r"No pose file can be read at .*b.json"):
        read_poses(tmp_path / "b.json")


def test_files_of_controlnet_tools_are_read(tmp_path):
    flat = [value for x, y in STANDING for value in (x, y, 1.0)]
    (tmp_path / "a.json").write_text(json.dumps([{"people": [{"pose_keypoints_2d": flat}], "canvas_width": 512}]))
    assert read_poses(tmp_path / "a.json").people[0].seen == 18


def test_coco_joints_become_openpose_with_a_neck():
    rows = [(float(i), 10.0 * i, 0.9) for i in range(17)]
    rows[9] = (9.0, 90.0, 0.1)
    pose = pose_from_coco(rows)
    assert pose.joints[1] == Joint(5.5, 55.0, 0.9)
    assert pose.joints[0] == Joint(0, 0, 0.9)
    assert pose.joints[2] == Joint(6, 60, 0.9)
    assert pose.joints[7] is None  # the left wrist is below the score
    assert pose.joints[14] == Joint(2, 20, 0.9)
    assert pose.joints[17] == Joint(3, 30, 0.9)
    with pytest.raises(ConditionError, match="16 joints were given; COCO poses have 17"):
        pose_from_coco(rows[:16])


def test_wrong_poses_are_refused():
    with pytest.raises(ConditionError, match="pose of 3 joints was given; expected 18"):
        Pose((None,) * 3)
    with pytest.raises(ConditionError, match=r"The neck of a pose is at .*; expected finite numbers"):
        pose_from_rows([(0, 0), (float("nan"), 0)] + [None] * 16)


def test_keypose_draws_left_green_and_right_blue():
    joints = [Joint(40.0 + 20 * i, 100.0 + 20 * (i % 2)) for i in range(17)]
    canvas = np.asarray(draw_keypose([joints], (512, 512)))
    assert canvas[round(joints[9].y), round(joints[9].x)].tolist() == [0, 255, 0]
    assert canvas[round(joints[10].y), round(joints[10].x)].tolist() == [0, 128, 255]
    with pytest.raises(ConditionError, match="keypose of 3 joints was given; expected 17"):
        draw_keypose([joints[:3]], (512, 512))


def test_a_picture_above_the_limit_is_not_drawn():
    with pytest.raises(ConditionError, match="65535 x 65535 px was asked for, above the limit of 64000000 pixels"):
        draw_pose([], (65535, 65535))
