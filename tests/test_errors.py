"""Messages quote foreign names and texts, and still can be printed."""

from armature.errors import ArmatureError, CheckpointError


def test_what_no_letter_shows_is_written_out():
    assert str(CheckpointError("caf\udce9 \x1b[31m red\a\u202e.pth")) == "caf\\udce9 \\x1b[31m red\\x07\\u202e.pth"
    assert str(ArmatureError("one ü 猫 🐕\ntwo")) == "one ü 猫 🐕\ntwo"
    assert str(ArmatureError()) == ""


def test_the_middle_of_an_endless_line_is_left_out():
    text = str(ArmatureError(f"first\n{'x' * 100_000} is no number; expected one\nlast"))
    assert len(text) < 2500
    assert text.startswith("first\nxxx")
    assert text.endswith("xxx is no number; expected one\nlast")
