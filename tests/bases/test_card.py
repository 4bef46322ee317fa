"""What a base says of itself: its best settings, and the words that it learnt."""

import json
import re

import pytest

from armature.bases.card import BaseCard, card_of, words_of
from armature.errors import CheckpointError
from armature.generation.generate import generate

CARD = BaseCard(name="embedded", words=("a", "boat", "cut-out", "house", "on", "red"))


def test_unknown_words_come_with_the_known_one_that_is_spelt_most_like_them():
    assert CARD.unknown_words("A red Hause, on a cut-out elephant") == {"hause": "house", "elephant": None}
    assert CARD.unknown_words("a red boat") == {}


def test_a_base_that_does_not_say_what_it_knows_is_asked_nothing():
    assert BaseCard().unknown_words("an elephant on a motorbike") == {}


def test_words_are_lower_case_once_each_without_numbers():
    assert words_of("Two boats, two CATS; 3 cut-outs") == ("two", "boats", "cats", "cut-outs")


def test_the_embedded_base_knows_its_own_words_and_tells_of_others():
    assert card_of(None).unknown_words("a red house and two green trees on grass at sunset, crayon style") == {}
    made = generate("an elephant on a motorbike", num_inference_steps=1, seed=1)
    note = next(note for note in made.notes if "never learnt" in note)
    assert re.search(r"prompt .* embedded base never learnt.*: elephant, motorbike\.", note)
    assert "armature list words" in note
    assert not [note for note in generate("a red boat", num_inference_steps=1, seed=1).notes if "learnt" in note]


@pytest.mark.parametrize(("key", "value"), [("words", "boat"), ("guidance", "high"), ("name", 3)])
def test_a_damaged_card_is_told(tmp_path, key, value):
    (tmp_path / "armature.json").write_text(json.dumps({key: value}))
    with pytest.raises(CheckpointError, match="is no readable card of a base"):
        card_of(tmp_path)
