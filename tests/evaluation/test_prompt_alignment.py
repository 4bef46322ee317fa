"""Obedience counts what captions name, and a colour only on the thing that should have it."""

import numpy as np

from armature.conditions.networks.annotator import Annotation
from armature.evaluation.prompt_alignment import Named, named_things, prompt_alignment
from armature.toyworld import scene
from armature.toyworld.palette import CLASS_INDEX, COLOUR_NAMES


def seen(name: str, colour: str, side: int) -> Annotation:
    classes = np.zeros((128, 128), np.uint8)
    colours = np.zeros((128, 128), np.uint8)
    classes[:side, :side] = CLASS_INDEX[name]
    colours[:side, :side] = 1 + COLOUR_NAMES.index(colour)
    return Annotation(classes, colours, np.zeros((128, 128)), ())


def test_a_found_thing_with_its_colour_counts_twice():
    result = prompt_alignment([[Named("cat", "red")]], [seen("cat", "red", 20)])
    assert (result.object_recall, result.colour_share) == (1.0, 1.0)


def test_a_wrong_colour_is_not_right_and_an_unnamed_one_is_not_asked():
    result = prompt_alignment([[Named("cat", "blue"), Named("cat", None)]], [seen("cat", "red", 20)])
    assert (result.objects_found, result.objects_named) == (2, 2)
    assert (result.colours_right, result.colours_named) == (0, 1)


def test_a_crumb_is_not_a_thing_and_takes_its_colour_along():
    result = prompt_alignment([[Named("cat", "red")]], [seen("cat", "red", 8)])
    assert (result.object_recall, result.colour_share) == (0.0, 0.0)


def test_the_truth_obeys_every_caption():
    scenes = [scene(seed) for seed in range(40)]
    truth = [Annotation(s.classes, s.colours, s.depth / 255, ()) for s in scenes]
    result = prompt_alignment([named_things(s) for s in scenes], truth)
    # A thing may be hidden by another one; captions leave about one colour in twenty open.
    assert result.object_recall > 0.97
    assert result.colour_share > 0.97
    assert 0.85 < result.colours_named / result.objects_named < 1.0
