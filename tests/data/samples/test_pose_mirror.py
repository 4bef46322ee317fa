"""Poses of data sets whose pictures are mirrored."""

import numpy as np
import pytest
from picture_folders import opened, png, write_folder

from armature.conditions.pose.mirror import mirrored_openpose
from armature.data.sources.formats.toyworld import ToyworldSource
from armature.errors import DatasetError
from armature.toyworld import scene


def apart(a, b):
    return np.abs(a.astype(int) - b).max(axis=-1) > 40


def test_a_data_set_whose_poses_cannot_be_mirrored_is_refused_at_once(tmp_path):
    root = write_folder(tmp_path)
    for number in range(6):
        with_white = np.zeros((64, 64, 3), np.uint8)
        with_white[10:20, 10:20] = 255
        (tmp_path / f"maps/000{number}.png").write_bytes(png(with_white))
    with pytest.raises(DatasetError, match="left and right cannot be swapped"):
        opened(root, kind="openpose", conditions="../maps", flip="always")
    opened(root, kind="openpose", conditions="../maps", flip="never")


def test_toyworld_poses_are_drawn_from_mirrored_joints():
    source = ToyworldSource(60, 0, 128, "openpose")
    # Of one person each: where people overlap, the order of drawing decides.
    people = [source.read(number) for number in range(12) if len(scene(source.seed(number)).joints) == 1]
    assert people
    for sample in people:
        # The other way to the same map, where limbs do not overlap.
        other = mirrored_openpose(sample.condition)
        assert apart(sample.mirrored, other).sum() <= 0.04 * (other.max(axis=-1) > 0).sum()
        assert apart(sample.mirrored, sample.condition[:, ::-1]).sum() > 0.2 * (other.max(axis=-1) > 0).sum()
    data = opened("toyworld", kind="openpose", count=60, resolution=128, flip="always")
    number = next(n for n in range(12) if source.read(n).condition.any())
    variants = [data.load(number, variant).control for variant in range(12)]
    assert any(np.array_equal(control, source.read(number).mirrored) for control in variants)
    assert any(np.array_equal(control, source.read(number).condition) for control in variants)
