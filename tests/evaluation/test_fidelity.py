"""Each kind has its measure: best for a map's own picture, worse for a shifted one, worst for an unrelated one."""

import numpy as np
import pytest

from armature.conditions.kinds import KINDS
from armature.errors import ConditionError
from armature.evaluation.fidelity import fidelity_of, gap_closed, usual_extractor
from armature.toyworld import scene

SCENES = [scene(seed) for seed in range(8)]
PEOPLE = [drawn for drawn in (scene(seed) for seed in range(60)) if drawn.joints][:4]


def scores(kind, pictures=None, scenes=SCENES, **options):
    measure = fidelity_of(kind, embedded=True, **options)
    pictures = [drawn.picture for drawn in scenes] if pictures is None else pictures
    return np.array([measure.score(s.condition(kind), p) for s, p in zip(scenes, pictures, strict=True)])


def shifted(pixels):
    return [np.roll(drawn.picture, pixels, axis=1) for drawn in SCENES]


@pytest.mark.parametrize(("kind", "least"), [("sketch", 0.8), ("canny", 0.8)])
def test_true_pictures_follow_their_true_lines(kind, least):
    assert scores(kind).mean() > least


@pytest.mark.parametrize("kind", ["sketch", "canny"])
def test_lines_are_followed_less_the_further_the_picture_is_shifted(kind):
    figures = [scores(kind, shifted(pixels)).mean() for pixels in (0, 3, 8)]
    assert figures[0] > figures[1] > figures[2]


@pytest.mark.parametrize("kind", ["depth", "seg", "color"])
def test_true_pictures_follow_their_maps_better_than_others_do(kind):
    other = [drawn.picture for drawn in SCENES[1:] + SCENES[:1]]
    own, others = scores(kind).mean(), scores(kind, other).mean()
    better = fidelity_of(kind, embedded=True).better
    assert own > others if better == "higher" else own < others


def test_the_palette_of_a_picture_is_its_own():
    assert scores("color").max() == 0
    black = [np.zeros_like(drawn.picture) for drawn in SCENES]
    assert scores("color", black).min() > 0.05


def test_poses_are_read_and_counted():
    figures = scores("openpose", scenes=PEOPLE)
    assert len(figures) == 4
    assert ((figures >= 0) & (figures <= 1)).all()
    nobody = next(drawn for drawn in SCENES if not drawn.joints)
    measure = fidelity_of("openpose", embedded=True)
    assert not measure.has_content(nobody.openpose)
    assert measure.has_content(PEOPLE[0].openpose)


@pytest.mark.parametrize(("kind", "best"), [("sketch", 1.0), ("lineart", 1.0), ("tile", 0.0), ("grey", 0.0)])
def test_maps_made_by_an_extractor_are_read_by_it(kind, best):
    from armature.conditions.extract import extract

    picture = SCENES[0].picture
    control = np.asarray(extract(kind, picture))
    assert fidelity_of(kind, extractor=kind).score(control, picture) == best
    assert fidelity_of(kind, extractor=kind).score(control, SCENES[1].picture) != best


def test_extractor_options_are_those_of_the_maps():
    from armature.conditions.extract import extract

    picture = SCENES[0].picture
    control = np.asarray(extract("color", picture, patches=4))
    assert fidelity_of("color", extractor="color", options={"patches": 4}).score(control, picture) == 0
    assert fidelity_of("color", extractor="color", options={"patches": 16}).score(control, picture) > 0


def test_an_empty_line_map_asks_for_nothing():
    measure = fidelity_of("sketch")
    assert not measure.has_content(np.zeros((32, 32), np.uint8))
    assert measure.has_content(SCENES[0].sketch)


def test_readers_are_named_and_know_the_embedded_base():
    assert usual_extractor("sketch", embedded=True) == usual_extractor("sketch", embedded=False) == "edges"
    assert usual_extractor("depth", embedded=True) == "embedded:depth"
    assert usual_extractor("depth", embedded=False) == "depth"
    assert "scale and shift fitted" in fidelity_of("depth").unit
    assert "fitted" not in fidelity_of("depth", embedded=True).unit


MEASURED = {
    "sketch": ("edge_f1", "higher", "edges"),
    "canny": ("edge_f1", "higher", "edges"),
    "lineart": ("edge_f1", "higher", "edges"),
    "softedge": ("edge_f1", "higher", "edges"),
    "depth": ("depth_rmse", "lower", "depth"),
    "seg": ("seg_miou", "higher", "seg"),
    "openpose": ("joint_accuracy", "higher", "openpose"),
    "color": ("palette_error", "lower", "color"),
    "tile": ("tile_error", "lower", "tile"),
    "grey": ("grey_rmse", "lower", "grey"),
}


@pytest.mark.parametrize("kind", KINDS.names())
def test_every_kind_has_its_measure_or_says_that_it_has_none(kind):
    if kind not in MEASURED:
        with pytest.raises(ConditionError, match=f"cannot be measured for {kind}"):
            fidelity_of(kind)
        return
    measure = fidelity_of(kind)
    assert (measure.name, measure.better, measure.extractor) == MEASURED[kind]


def test_kinds_without_a_measure_say_so():
    with pytest.raises(ConditionError, match="cannot be measured for keypose; it can for sketch, canny"):
        fidelity_of("keypose")
    with pytest.raises(ConditionError, match="Unknown palette 'mars'"):
        fidelity_of("seg", palette="mars")
    with pytest.raises(ConditionError, match=r"A map of shape \(8, 8\) and a picture of \(8, 9, 3\)"):
        fidelity_of("sketch").score(np.zeros((8, 8), np.uint8), np.zeros((8, 9, 3), np.uint8))


def test_the_distance_is_closed_whichever_way_is_better():
    assert gap_closed(0.2, 0.5, 0.8) == pytest.approx(0.5)
    assert gap_closed(0.4, 0.1, 0.1) == pytest.approx(1.0)
    assert gap_closed(0.4, 0.5, 0.1) < 0
    assert gap_closed(0.3, 0.9, 0.3) is None
