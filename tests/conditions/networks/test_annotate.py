import numpy as np
import pytest
from drawings import photo

from armature.conditions.extract import extract
from armature.conditions.networks import annotator
from armature.conditions.networks.annotator import Annotation, Person
from armature.errors import ConditionError
from armature.toyworld.palette import CLASS_INDEX, SEG_TABLE

JOINTS = 18


@pytest.fixture
def install(monkeypatch):
    """Puts a network of known answers in the shipped one's place: it always sees a boat, at depth 0.3."""

    def put(people):
        class Network:
            def annotate(self, pictures):
                shape = pictures.shape[1:3]
                classes = np.full(shape, CLASS_INDEX["boat"], np.uint8)
                return [Annotation(classes, np.zeros(shape, np.uint8), np.full(shape, 0.3), people)]

        monkeypatch.setattr(annotator, "load_network", Network)

    return put


def test_maps_come_back_at_the_pictures_size(install):
    install((Person(np.full((JOINTS, 2), 64.0), np.ones(JOINTS)),))
    picture = photo(96).crop((0, 0, 96, 80))
    assert extract("embedded:depth", picture).getextrema() == (76, 76)
    assert extract("embedded:depth", picture).size == (96, 80)
    assert extract("embedded:seg", picture).getpixel((95, 79)) == tuple(SEG_TABLE[CLASS_INDEX["boat"]])
    drawn = np.asarray(extract("embedded:openpose", picture))
    assert drawn[40, 38].max() > 0
    assert drawn[:20].max() == 0


def test_nobody_found_is_an_error_unless_allowed(install):
    install(())
    with pytest.raises(ConditionError, match="No person was found"):
        extract("embedded:openpose", photo(64))
    assert np.asarray(extract("embedded:openpose", photo(64), allow_empty=True)).max() == 0
