"""An evaluation asks held-out samples, and reports finite figures with their pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scene_frames import SceneFrames
from small_bases import sd_adapter

from armature.data.settings import DataSettings
from armature.errors import ArmatureError, AttachError, DatasetError, RecipeError
from armature.evaluation.evaluate import evaluate
from armature.evaluation.fidelity import fidelity_of
from armature.evaluation.samples import choose
from armature.evaluation.sheet import sheet_size

QUICK = {"steps": 1, "guidance": 1.0}


@pytest.fixture(scope="module")
def report(small_base):
    told = []
    data = SceneFrames("sketch", 6, broken=(1,))
    found = evaluate(
        sd_adapter(), data=data, base=small_base, count=4, batch=3, progress=lambda *n: told.append(n), **QUICK
    )
    assert told[-1] == (12, 12)
    return found


def test_the_report_counts_what_was_asked(report):
    assert report.settings["count"] == report.fidelity["with"].count == len(report.samples) == 4
    assert report.settings["bad"] == 1
    assert [sample["key"][-1] for sample in report.samples] == ["0", "2", "3", "4"]
    assert report.measure["name"] == "edge_f1"
    assert any(
        "1 samples could not be read; the first: Sample 'scene 10000001': it is torn" in w for w in report.warnings
    )


def test_the_report_is_json_without_holes(report):
    found = json.loads(report.to_json())
    figures = [figure[name] for figure in found["fidelity"].values() for name in ("mean", "error")]
    figures += [row[name]["mean"] for row in found["objects"].values() for name in ("object_recall", "colours_right")]
    assert np.isfinite(figures).all()
    assert found["fidelity"]["true"]["mean"] > 0.8
    assert set(found["seconds"]) == {"without", "with", "ceiling", "total"}


def test_the_files_are_written_and_the_sheet_has_its_size(report, tmp_path):
    paths = report.write(tmp_path / "out")
    assert [path.name for path in paths] == ["report.json", "report.md", "sheet.png"]
    assert report.sheet.size == sheet_size(4, 4, (128, 128))
    table = paths[1].read_text()
    assert "| without adapter | " in table
    assert "edge_f1: F1 of edge pixels, within 2 pixels, higher is better; read by edges." in table
    (tmp_path / "file").write_text("")
    with pytest.raises(ArmatureError, match="is a file; a report is a folder"):
        report.write(tmp_path / "file")


def test_weight_0_is_the_base_alone_and_everything_is_repeatable(small_base):
    def asked(weight):
        data = SceneFrames("sketch", 1)
        return evaluate(sd_adapter(), data=data, base=small_base, weight=weight, **QUICK).samples[0]

    alone, acting = asked(0.0), asked(8.0)
    assert alone["with"] == alone["without"] == acting["without"] != acting["with"]
    assert acting == asked(8.0)


def test_controls_that_say_nothing_are_passed_over():
    measure = fidelity_of("openpose", embedded=True)
    chosen = choose(SceneFrames("openpose", 40), measure, 2)
    assert len(chosen.frames) == 2
    assert chosen.skipped == int(chosen.frames[1].key[-2:]) - 1
    with pytest.raises(DatasetError, match="scenes has no sample to evaluate: 3 controls say nothing, 0 samples are"):
        choose(SceneFrames("openpose", 3), measure, 2)


def test_settings_open_held_out_scenes(small_base):
    data = DataSettings(source="toyworld", resolution=128)
    found = evaluate(sd_adapter(), data=data, base=small_base, count=2, **QUICK)
    assert [sample["key"] for sample in found.samples] == ["scene 10000000", "scene 10000001"]
    assert (found.data, found.warnings) == ("toyworld", ())


def test_data_that_was_learned_from_is_called_so(small_base):
    adapter = sd_adapter()
    adapter.card = replace(adapter.card, metadata={"training": {"data": "scenes"}})
    asked = evaluate(adapter, data=SceneFrames("sketch", 1, held_out=False), base=small_base, **QUICK)
    assert "The adapter was trained on scenes, the very data of this evaluation" in asked.warnings[0]
    apart = evaluate(adapter, data=SceneFrames("sketch", 1), base=small_base, **QUICK)
    assert apart.warnings == ()


def test_what_does_not_fit_is_told_before_anything_is_drawn(small_base):
    from small_bases import xl_adapter

    data = SceneFrames("sketch", 1)
    with pytest.raises(RecipeError, match="count is 0; expected at least 1"):
        evaluate(sd_adapter(), data=data, base=small_base, count=0)
    with pytest.raises(AttachError, match="does not fit"):
        evaluate(xl_adapter(), data=data, base=small_base)
    nameless = sd_adapter()
    nameless.card = replace(nameless.card, kind=None)
    with pytest.raises(RecipeError, match="does not say which kind of control it takes; give --kind"):
        evaluate(nameless, data=data, base=small_base)


def test_a_single_file_is_evaluated_with_a_folder_for_its_configuration(tmp_path, monkeypatch):
    from original_layout import original_state
    from safetensors.torch import save_file
    from small_bases import sd_pipeline, xl_adapter

    sd_pipeline().save_pretrained(tmp_path / "sd")
    save_file(original_state(sd_pipeline()), tmp_path / "base.safetensors")
    told = {"base": tmp_path / "base.safetensors", "config": tmp_path / "sd"}
    by_file = evaluate(sd_adapter(), data=SceneFrames("sketch", 1), **told, **QUICK)
    by_folder = evaluate(sd_adapter(), data=SceneFrames("sketch", 1), base=tmp_path / "sd", **QUICK)
    assert by_file.samples == by_folder.samples
    # An adapter of another family is told by the headers.
    monkeypatch.setattr("armature.evaluation.evaluate.open_base", lambda *_, **__: pytest.fail("the base was read"))
    with pytest.raises(AttachError, match="does not fit"):
        evaluate(xl_adapter(), data=SceneFrames("sketch", 1), **told)
