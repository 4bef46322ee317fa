"""JSON that others wrote: a value within bounds, or a ValueError that says why not."""

import pytest

from armature.foreign import check_depth, read_json


def test_json_as_everybody_writes_it_is_read():
    assert read_json('{"a": [1, -2.5, "ü", null, true], "b": 18446744073709551615}') == {
        "a": [1, -2.5, "ü", None, True],
        "b": 18446744073709551615,
    }
    assert read_json(b"[" * 64 + b"1" + b"]" * 64)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 66 + "]" * 66, "nested more than 64 deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested more than 64 deep"),
        ("9" * 30, "a number of 30 digits"),
        ("-" + "9" * 9000, "a number of 9001 digits"),
        ("[NaN]", "holds NaN, which is no number of JSON"),
        ("-Infinity", "holds -Infinity, which is no number"),
        ("1e400", "holds the number 1e400, which is too large"),
        ("{", "Expecting"),
        (b"\xff", "codec can't decode"),
    ],
)
def test_what_would_fail_later_fails_here(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_json(text)


def test_numbers_that_are_none_pass_where_they_are_expected():
    assert read_json("[NaN, 1e400]", finite=False)[1] == float("inf")
    with pytest.raises(ValueError, match="digits"):
        read_json("9" * 30, finite=False)


def test_a_circle_is_too_deep():
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        check_depth(circle)
