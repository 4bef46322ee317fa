"""Files of prompts: what their lines mean, and every wrong one told."""

import pytest

from armature.errors import RecipeError
from armature.generation.prompts import Prompt, read_prompts


def test_lines_are_prompts_and_empty_ones_and_comments_are_passed_over(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffa red house\r\n\r\n  # not this one\n  a tree, gr\u00fcn  \n".encode())
    assert read_prompts(path) == (Prompt("a red house"), Prompt("a tree, gr\u00fcn"))


def test_json_lines_may_have_seed_and_negative_prompt(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a house", "seed": 7}\n# no\n\n{"prompt": "a tree", "negative_prompt": "a cat"}\n')
    assert read_prompts(str(path)) == (Prompt("a house", 7), Prompt("a tree", None, "a cat"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a red house", "line 1: no JSON"),
        ('"a red house"', "line 1: expected an object such as"),
        ('{"seed": 7}', "line 1: expected an object such as"),
        ('{"prompt": 7}', "prompt is a int, expected str"),
        ('{"prompt": null}', "prompt is a NoneType, expected str"),
        ('{"prompt": "a", "sede": 7}', "unknown key 'sede'; did you mean 'seed'?"),
        ('{"prompt": "a", "xyz": 7}', "unknown key 'xyz'; expected prompt, seed, negative_prompt"),
        ('{"prompt": "a", "seed": 7.5}', "seed is a float, expected int"),
        ('{"prompt": "a", "seed": true}', "seed is a bool, expected int"),
        ('{"prompt": "a", "seed": -1}', "seed is -1, expected a whole number from 0"),
        ('{"prompt": "a", "seed": 1' + "0" * 400 + "}", r"seed is a number of about 2\^1329, expected"),
        ('{"prompt": "a", "seed": 1' + "0" * 5000 + "}", "line 1: no JSON"),
        ('{"prompt": "\\ud800"}', "prompt has bytes that are no text"),
        ('{"prompt": "a", "negative_prompt": "\\udfff"}', "negative_prompt has bytes that are no text"),
        ("[" * 100_000, "line 1: "),
        ("# nothing", "holds no prompt; write one a line"),
    ],
)
def test_wrong_lines_are_told(tmp_path, line, told):
    path = tmp_path / "prompts.jsonl"
    path.write_text(line)
    with pytest.raises(RecipeError, match=told) as caught:
        read_prompts(path)
    assert len(str(caught.value)) < 500


def test_all_wrong_lines_are_told_together(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(["no", '{"prompt": "a"}', *["no"] * 6]))
    with pytest.raises(RecipeError, match=r"line 1: .*; line 3: .*; and 2 more") as caught:
        read_prompts(path)
    assert "line 2" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "latin").write_bytes("gr\u00fcn".encode("latin-1"))
    with pytest.raises(RecipeError, match="it is no text in UTF-8"):
        read_prompts(tmp_path / "latin")
    with pytest.raises(RecipeError, match="No such file"):
        read_prompts(tmp_path / "gone.txt")
    with pytest.raises(RecipeError, match="Is a directory"):
        read_prompts(tmp_path)
