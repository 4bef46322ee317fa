"""Joints are read off a drawing where they were drawn, and matched person to person."""

import numpy as np

from armature.conditions.pose.drawing import draw_pose
from armature.conditions.pose.pose import pose_from_rows
from armature.evaluation.joints import drawn_joints, joint_count, joint_share, joints_of
from armature.toyworld import scene


def person(left, top=20.0):
    """18 joints on a coarse grid, so that no disc covers another."""
    return pose_from_rows([(left + 14 * (i % 4), top + 14 * (i // 4)) for i in range(18)])


def test_joints_are_found_where_they_were_drawn():
    people = [person(15.0), person(100.0)]
    given, found = joints_of(people), drawn_joints(np.asarray(draw_pose(people, (160, 160))))
    assert joint_count(given) == 36
    assert joint_share(given, found, 1.0) > 0.95


def test_the_joints_of_a_scene_are_in_its_map():
    people = [drawn for drawn in (scene(seed) for seed in range(60)) if drawn.joints][:3]
    for drawn in people:
        true = tuple(np.array([joints[i] for joints in drawn.joints]) for i in range(18))
        # Discs of the head cover each other at this size.
        assert joint_share(true, drawn_joints(drawn.openpose), 2.0) > 0.75


def test_a_found_joint_serves_one_person():
    two, one = joints_of([person(15.0), person(17.0)]), joints_of([person(16.0)])
    assert joint_share(two, one, 8.0) == 0.5
    assert joint_share(one, two, 8.0) == 1.0


def test_joints_count_up_to_the_reach():
    given, moved = joints_of([person(15.0)]), joints_of([person(20.0)])
    assert joint_share(given, moved, 5.0) == 1
    assert joint_share(given, moved, 4.9) == 0


def test_nobody_agrees_with_nobody_only():
    nobody = joints_of([])
    assert joint_share(nobody, nobody, 5.0) == 1
    assert joint_share(nobody, joints_of([person(15.0)]), 5.0) == 0
