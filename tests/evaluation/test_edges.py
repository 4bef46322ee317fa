"""Edge fidelity: the tolerance is two pixels, no more and no less."""

import numpy as np
import pytest

from armature.errors import ConditionError
from armature.evaluation.edges import edge_score, picture_edges
from armature.toyworld import scene


def lines_at(column: int) -> np.ndarray:
    lines = np.zeros((32, 32), bool)
    lines[:, column] = True
    return lines


@pytest.mark.parametrize(("shift", "score"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_lines_up_to_two_pixels_apart_agree(shift, score):
    assert edge_score(lines_at(10), lines_at(10 + shift)).f1 == score


def test_precision_and_recall_are_told_apart():
    both = lines_at(5) | lines_at(20)
    more = edge_score(lines_at(5), both)
    assert (more.precision, more.recall) == (0.5, 1.0)
    less = edge_score(both, lines_at(5))
    assert (less.precision, less.recall) == (1.0, 0.5)
    assert less.f1 == pytest.approx(2 / 3)


def test_nothing_agrees_with_nothing_only():
    empty = np.zeros((32, 32), bool)
    assert edge_score(empty, empty).f1 == 1.0
    assert edge_score(empty, lines_at(3)).f1 == 0.0


def test_different_shapes_are_refused():
    with pytest.raises(ConditionError, match=r"Lines of shape \(32, 32\) and edges of \(16, 32\)"):
        edge_score(lines_at(3), lines_at(3)[:16])


def test_a_scene_agrees_with_its_own_sketch_and_not_with_another():
    scenes = [scene(seed) for seed in range(20)]
    own = np.mean([edge_score(s.sketch, picture_edges(s.picture)).f1 for s in scenes])
    other = np.mean([edge_score(s.sketch, picture_edges(scenes[i - 1].picture)).f1 for i, s in enumerate(scenes)])
    assert own > 0.85
    assert other < 0.55
