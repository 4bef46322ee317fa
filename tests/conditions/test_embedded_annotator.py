import sys
from types import ModuleType

import numpy as np
import pytest
from drawings import photo
from PIL import Image

from armature.conditions import embedded_annotator
from armature.conditions.embedded_annotator import Annotation
from armature.conditions.extract import extract
from armature.conditions.pose import pose_from_rows
from armature.errors import ConditionError


@pytest.fixture
def install(monkeypatch):
    """Puts an annotator of known answers where the shipped one lives."""

    def put(people):
        home = ModuleType("armature.embedded.annotator")
        answer = Annotation(Image.new("L", (64, 64), 77), Image.new("RGB", (64, 64), (70, 130, 230)), people)
        home.load_annotator = lambda: lambda picture: answer  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "armature.embedded.annotator", home)
        embedded_annotator._annotator.cache_clear()

    yield put
    embedded_annotator._annotator.cache_clear()


def test_maps_come_back_at_the_pictures_size(install):
    install((pose_from_rows([(32, 32)] * 18),))
    picture = photo(96).crop((0, 0, 96, 80))
    assert extract("embedded:depth", picture).getextrema() == (77, 77)
    assert extract("embedded:depth", picture).size == (96, 80)
    assert extract("embedded:seg", picture).getpixel((95, 79)) == (70, 130, 230)
    drawn = np.asarray(extract("embedded:openpose", picture))
    assert drawn[40, 48].max() > 0
    assert drawn[:20].max() == 0


def test_nobody_found_is_an_error_unless_allowed(install):
    install(())
    with pytest.raises(ConditionError, match="No person was found"):
        extract("embedded:openpose", photo(64))
    assert np.asarray(extract("embedded:openpose", photo(64), allow_empty=True)).max() == 0


def test_without_the_annotator_the_way_out_is_told(monkeypatch):
    embedded_annotator._annotator.cache_clear()
    monkeypatch.setattr(embedded_annotator, "_HOME", "armature.embedded.nowhere")
    with pytest.raises(ConditionError, match="not part of this installation; for lines use 'sketch'"):
        extract("embedded:depth", photo(64))
