"""The finished adapter is the trained one, in both layouts, with a card that tells what is known."""

import json
from dataclasses import replace

import diffusers
import pytest
import torch
from PIL import Image
from small_bases import sd_adapter, xl_adapter

import armature
from armature.errors import CheckpointError
from armature.training.checkpoint.state import TrainerState
from armature.training.export.export import export
from armature.training.logging.metrics import MetricsLog
from armature.training.recipe.model import Recipe


def recipe(**data):
    return Recipe.model_validate(
        {
            "run": "run",
            "base": {"model": "embedded"},
            "adapter": {"kind": "canny"},
            "data": {"source": "toyworld", "resolution": 128, **data},
        }
    )


EXTENT = TrainerState(20, 160, 1.5)


@pytest.fixture
def run(tmp_path):
    with MetricsLog(tmp_path) as log:
        for step in range(1, 21):
            log.write(TrainerState(step), {"train/loss": 1 / step})
        log.write(EXTENT, {"held_out/loss": 0.25, "fidelity/edge_f1": 0.5, "fidelity/closed": 0.75})
    (tmp_path / "samples").mkdir()
    for step, red in ((0, 10), (20, 200)):
        Image.new("RGB", (8, 8), (red, 0, 0)).save(tmp_path / "samples" / f"step-{step:08d}.png")
    return tmp_path


@pytest.mark.parametrize("make", [sd_adapter, xl_adapter])
def test_others_load_what_was_trained(run, make):
    adapter = make("canny")
    done = export(run, adapter, recipe(), EXTENT)
    assert done == type(done)(run / "adapter", run / "adapter-original.safetensors", ())
    assert adapter.dtype == torch.float32
    ours, theirs = armature.load_adapter(done.folder), diffusers.T2IAdapter.from_pretrained(done.folder)
    original = armature.load_adapter(done.original)
    assert ours.dtype == torch.float16
    control = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = adapter.half().float()(control).maps
        for loaded in (ours.float()(control).maps, original.float()(control).maps, theirs.float()(control)):
            assert all(torch.equal(a, b) for a, b in zip(loaded, expected, strict=True))


def test_full_precision_keeps_every_bit(run):
    adapter = sd_adapter()
    folder = export(run, adapter, recipe(), EXTENT, dtype=torch.float32).folder
    loaded = armature.load_adapter(folder).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in adapter.state_dict().items())


def test_the_files_say_how_they_came_about(run):
    adapter = sd_adapter("canny")
    done = export(run, adapter, recipe(extractor="canny", extract={"low": [50, 100], "high": 200}), EXTENT)
    for source in (done.folder, done.original):
        card = armature.load_adapter(source).card
        assert (card.kind, card.family) == ("canny", "sd")
        assert card.contract is not None
        assert (card.contract.channels, card.contract.order, card.contract.range) == (1, "L", (0.0, 1.0))
        assert card.metadata["extractor"] == "canny"
        assert card.metadata["extractor_options"] == {"low": [50, 100], "high": 200}
        training = card.metadata["training"]
        assert (training["data"], training["steps"], training["batch"]) == ("toyworld", 20, 8)
        assert card.metadata["figures"] == {"held_out/loss": 0.25, "fidelity/edge_f1": 0.5, "fidelity/closed": 0.75}


def test_the_model_card_shows_settings_curves_and_the_last_sheet(run):
    folder = export(run, sd_adapter("canny"), recipe(), EXTENT).folder
    text = (folder / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: diffusers\n")
    assert "# Canny adapter for Stable Diffusion 1.x / 2.x" in text
    assert "| timesteps | cubic |" in text
    assert "| fidelity/edge f1 | 0.5000 |" in text
    assert "| made by | toyworld canny |" in text
    for name in ("loss.png", "held_out.png", "fidelity.png", "samples.png"):
        assert f"]({name})" in text
        assert (folder / name).is_file()
    with Image.open(folder / "samples.png") as sheet:
        assert sheet.getpixel((0, 0)) == (200, 0, 0)


def test_a_run_without_a_log_or_sheets_is_exported_too(tmp_path):
    folder = export(tmp_path, sd_adapter(), recipe(), EXTENT).folder
    assert "![" not in (folder / "README.md").read_text()
    assert json.loads((folder / "config.json").read_text())["_class_name"] == "T2IAdapter"


def test_local_paths_stay_at_home(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    folder = export(run, sd_adapter(), recipe(source=str(tmp_path / "pictures")), EXTENT).folder
    assert armature.load_adapter(folder).card.metadata["training"]["data"] == "pictures"
    assert str(tmp_path) not in (folder / "README.md").read_text()


def test_weights_beyond_half_precision_are_not_cut(run):
    adapter = sd_adapter()
    with torch.no_grad():
        next(adapter.parameters()).view(-1)[0] = 1e6
    done = export(run, adapter, recipe(), EXTENT)
    assert "beyond float16's range: the files are in float32" in done.notes[0]
    assert armature.load_adapter(done.folder).dtype == torch.float32


def test_broken_weights_are_not_given_away(run):
    adapter = sd_adapter()
    adapter.card = replace(adapter.card, kind=None)
    with torch.no_grad():
        next(adapter.parameters()).view(-1)[0] = torch.nan
    with pytest.raises(CheckpointError, match="holds NaN or infinity; nothing was written"):
        export(run, adapter, recipe(), EXTENT)
    assert not (run / "adapter").exists()
