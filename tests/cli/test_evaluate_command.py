"""`armature evaluate`: a report in a folder, the figures on the output, and bad input in one line."""

import json

import pytest
from typer.testing import CliRunner

from armature.cli.main import app


@pytest.fixture
def run(bases, tmp_path, monkeypatch):
    """Run the verb on the small base, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, adapter=None, data="toyworld"):
        quick = ["--base", str(bases["sd"]), "--steps", "1", "--count", "2", "--size", "128"]
        given = ["evaluate", str(adapter or bases["sketch"]), "--data", str(data), *quick, *map(str, arguments)]
        return CliRunner().invoke(app, given)

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pictures):
    made = tmp_path_factory.mktemp("own")
    for number in range(2):
        (made / f"{number}.png").write_bytes(pictures["photo"].read_bytes())
        (made / f"{number}.txt").write_text("a red ball")
    return made


def test_figures_files_and_nothing_else(run):
    done = run()
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("edge_f1 without 0.")
    assert lines[2:] == [f"evaluation-sketch/{name}" for name in ("report.json", "report.md", "sheet.png")]


def test_json_is_the_report(run, tmp_path):
    done = run("--json", "--out", "there")
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "there" / "report.json").read_text())
    assert (found["settings"]["count"], found["settings"]["steps"], found["data"]) == (2, 1, "toyworld")


def test_a_folder_of_own_pictures_will_do(run, folder):
    done = run("--json", "--size", 64, data=folder)
    found = json.loads(done.stdout)
    assert found["measure"]["extractor"] == "sketch"
    assert found["settings"]["count"] == 2
    assert found["objects"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--count", 0), "Evaluation: count is 0; expected at least 1."),
        (("--size", 10), "--data 'toyworld' or --size 10: Input should be greater than or equal to 64."),
        (("--kind", "keypose"), "Control fidelity cannot be measured for keypose"),
    ],
)
def test_bad_input_is_one_line(run, arguments, message):
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_missing_data_and_a_file_as_target_are_told(run, tmp_path):
    assert "nowhere" in run(data="nowhere").stderr
    (tmp_path / "file").write_text("")
    assert "--out file is a file; a report is a folder." in run("--out", "file").stderr
