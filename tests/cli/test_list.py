"""`armature list`: everything there is, whole at any width of the terminal."""

import json

import pytest
from typer.testing import CliRunner

from armature.cli.main import app
from armature.conditions.kinds import KINDS
from armature.embedded.paths import embedded_adapter_kinds
from armature.generation.samplers import SAMPLERS


def run(*words, columns="80"):
    return CliRunner().invoke(app, ["list", *words], env={"COLUMNS": columns})


def rows(what):
    return {row["name"]: row for row in json.loads(run(what, "--json").stdout)}


def test_extractors_come_with_their_options_and_weights():
    found = rows("extractors")
    assert found["canny"]["options"] == {"low": None, "high": None, "blur": 0.0}
    assert found["pidinet"]["weights"] == ["table5_pidinet.pth"]
    assert {"sketch", "embedded:depth", "openpose"} <= set(found)


def test_kinds_samplers_and_adapters_are_all_there():
    assert set(rows("kinds")) == set(KINDS.names())
    assert set(rows("samplers")) == set(SAMPLERS)
    assert set(rows("adapters")) == {f"embedded:{kind}" for kind in embedded_adapter_kinds()}
    assert rows("kinds")["sketch"]["aliases"][0] == "scribble"


@pytest.mark.parametrize("what", ["kinds", "extractors", "adapters", "samplers", "words"])
def test_nothing_is_cut_in_a_narrow_terminal(what):
    narrow = run(what, columns="40").stdout
    assert narrow == run(what, columns="400").stdout
    for row in rows(what).values():
        assert row["name"] in narrow
        assert row.get("summary", "") in narrow


def test_an_unknown_list_names_the_known_ones():
    done = run("adaptors")
    assert done.exit_code == 2
    assert done.stderr == (
        "armature: There is no list of 'adaptors'; expected one of kinds, extractors, adapters, samplers, words. "
        "Did you mean 'adapters'?\n"
    )
