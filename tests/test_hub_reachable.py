"""Without a network every way to the hub ends at once, after one question at most, with one line."""

import sys
import time

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import constants

from armature import hub
from armature.bases.families import FAMILIES
from armature.bases.glance import glance_at
from armature.bases.open import open_base
from armature.bases.vae import load_vae
from armature.checkpoints.load import load_adapter
from armature.conditions.extract import extract
from armature.conditions.folder import Job, extract_folder
from armature.errors import ArmatureError

PICTURE = np.zeros((32, 32, 3), np.uint8)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Addresses that the hub's client was asked for; none of them answers."""
    if not hasattr(huggingface_hub, "set_client_factory"):
        pytest.skip("this huggingface_hub has no transport that a test can take over")
    # The library's own, whatever it is called.
    http = sys.modules[type(huggingface_hub.get_session()).__module__.partition(".")[0]]
    seen = []

    def refuse(request):
        seen.append(str(request.url))
        raise http.ConnectError("no route to host", request=request)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    huggingface_hub.set_client_factory(lambda: http.Client(transport=http.MockTransport(refuse)))
    hub.forget()
    yield seen
    huggingface_hub.set_client_factory(lambda: http.Client(follow_redirects=True, timeout=None))
    hub.forget()


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: extract("depth", PICTURE, device="cpu"),
        lambda: extract("seg", PICTURE, device="cpu", model="someone/segmenter"),
        lambda: extract("openpose", PICTURE, device="cpu"),
        lambda: extract("pidinet", PICTURE, device="cpu"),
        lambda: load_adapter("someone/adapter"),
        lambda: load_adapter("someone/adapters/models/sketch.pth"),
        lambda: open_base("someone/base"),
        lambda: load_vae("someone/vae", FAMILIES["sd"], None),
    ],
    ids=["depth", "seg", "openpose", "pidinet", "adapter", "adapter file", "base", "vae"],
)
def test_one_question_and_one_line(asked, attempt, capfd, caplog):
    started = time.process_time()
    with pytest.raises(ArmatureError) as raised:
        attempt()
    assert len(asked) == 1
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
    # The libraries' own tries wait for most of a minute between them; imports take some seconds of their own.
    assert time.process_time() - started < 30


def test_what_cannot_be_reached_says_so(asked):
    for attempt in (lambda: extract("depth", PICTURE), lambda: load_adapter("a/b"), lambda: open_base("a/b")):
        with pytest.raises(ArmatureError, match=r"the hub cannot be reached"):
            attempt()
    assert glance_at("a/b").family is None
    assert len(asked) == 1  # the answer is remembered


def test_offline_mode_asks_nothing(asked, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for attempt in (lambda: extract("depth", PICTURE), lambda: load_adapter("a/b"), lambda: open_base("a/b")):
        with pytest.raises(ArmatureError, match=r"offline mode is on"):
            attempt()
    assert asked == []


def test_a_folder_stops_at_the_first_picture_when_weights_are_absent(asked, tmp_path):
    (tmp_path / "in").mkdir()
    from PIL import Image

    for number in range(3):
        Image.fromarray(PICTURE).save(tmp_path / "in" / f"{number}.png")
    with pytest.raises(ArmatureError, match=r"The weights 'depth-anything/.* are not on this machine \(not in the hub"):
        extract_folder(Job("depth"), tmp_path / "in", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_hub_that_answers_anything_is_there(monkeypatch):
    answers = [503]

    class Session:
        def head(self, address, timeout):
            assert timeout <= 5
            return answers.pop()

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    hub.forget()
    assert not hub.unreachable()
    assert not hub.unreachable()  # and is not asked again
    hub.forget()
