"""The style adapter computes what the authors' does, has their keys, and says what it takes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from armature.adapters.networks.style import StyleSpec
from armature.adapters.readers import reader_table
from armature.adapters.registry import build_adapter, network_of, spec_from_dict
from armature.adapters.save import save_adapter
from armature.checkpoints.load import load_adapter
from armature.errors import CheckpointError, ConditionError

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = StyleSpec(32, 24, 8, 4, 3)


def golden():
    values = load_file(GOLDEN / "style.safetensors")
    with safe_open(GOLDEN / "style.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
    spec = StyleSpec(
        config["width"], config["context_dim"], config["num_tokens"], config["num_heads"], config["num_layers"]
    )
    adapter = build_adapter(spec)
    adapter.load_state_dict({name[6:]: value for name, value in values.items() if name.startswith("state.")})
    return adapter.eval(), values


@torch.no_grad()
def test_tokens_equal_the_authors() -> None:
    adapter, values = golden()
    assert adapter.spec == SMALL
    features = adapter(values["input.clip_hidden_states"])
    assert features.maps == ()
    torch.testing.assert_close(features.tokens, values["output.tokens"], atol=1e-5, rtol=0)


def test_keys_shapes_and_parameters_are_the_published_ones() -> None:
    published = json.loads((GOLDEN / "original_keys.json").read_text())["style"]
    with torch.device("meta"):
        adapter = build_adapter(StyleSpec())
    assert {key: list(value.shape) for key, value in adapter.state_dict().items()} == published["keys"]
    assert sum(parameter.numel() for parameter in adapter.parameters()) == published["parameters"]


def test_the_published_file_loads_by_its_keys(tmp_path: Path) -> None:
    adapter = build_adapter(StyleSpec(layers=1))
    torch.save(adapter.state_dict(), tmp_path / "t2iadapter_style_sd14v1.pth")
    loaded = load_adapter(tmp_path / "t2iadapter_style_sd14v1.pth")
    assert loaded.spec == adapter.spec
    assert (loaded.card.kind, loaded.card.family, loaded.card.notes) == ("style", "sd", ())
    assert (loaded.takes, loaded.spec.maps, loaded.spec.tokens.width) == ("picture states", (), 768)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), adapter.parameters(), strict=True))


@pytest.mark.parametrize("layout", ["diffusers", "original"])
def test_our_files_keep_the_heads_that_keys_do_not_show(tmp_path: Path, layout) -> None:
    adapter = build_adapter(SMALL)
    loaded = load_adapter(save_adapter(adapter, tmp_path / "a.safetensors", layout=layout))
    assert loaded.spec == SMALL
    save_file(adapter.state_dict(), tmp_path / "bare.safetensors")
    bare = load_adapter(tmp_path / "bare.safetensors")
    assert bare.spec.heads == 8
    assert "Its number of attention heads is not in the file; 8 are assumed, as published." in bare.card.notes


def test_states_are_taken_as_they_are_and_of_no_other_width() -> None:
    adapter = build_adapter(SMALL)
    for states in (torch.rand(17, 32), torch.rand(1, 17, 32)):
        read, notes = adapter.read(states)
        assert (read.shape, notes) == ((1, 17, 32), ())
    prepared = adapter.prepare([torch.rand(1, 17, 32), torch.rand(2, 17, 32)], (64, 64))
    assert (prepared.value.shape, prepared.size) == ((3, 17, 32), None)
    with pytest.raises(ConditionError, match=r"have shape \(1, 3, 64, 64\); this adapter takes \(batch, tokens, 32\)"):
        adapter(torch.rand(1, 3, 64, 64))
    with pytest.raises(ConditionError, match="different lengths"):
        adapter.prepare([torch.rand(1, 17, 32), torch.rand(1, 5, 32)], (64, 64))


def test_a_picture_goes_through_the_vision_tower(tmp_path: Path) -> None:
    from PIL import Image
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    tower = CLIPVisionModel(config).eval()
    tower.save_pretrained(tmp_path)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(tmp_path)
    picture = Image.new("RGB", (48, 40), (200, 30, 90))
    adapter = build_adapter(SMALL)
    object.__setattr__(adapter.card, "metadata", {"vision_model": str(tmp_path)})
    states, _ = adapter.read(picture)
    with torch.no_grad():
        expected = tower(**processor(picture, return_tensors="pt")).last_hidden_state
    torch.testing.assert_close(states.cpu(), expected, atol=1e-4, rtol=0)


def test_who_reads_it() -> None:
    table = reader_table(network_of(StyleSpec()).readers(StyleSpec()), "original")
    assert table["ComfyUI"] == table["the A1111 extension"] == "yes"
    assert table["diffusers"] == "no: it has no style adapters"
    assert reader_table(network_of(SMALL).readers(SMALL), "original")["ComfyUI"].startswith(
        "no: it builds the published"
    )


def test_mistakes_in_a_spec_are_named() -> None:
    assert spec_from_dict(json.loads(json.dumps(SMALL.to_dict()))) == SMALL
    with pytest.raises(CheckpointError, match="width is 32, expected a multiple of the 5 heads"):
        StyleSpec(32, 24, 8, 5)
    with pytest.raises(CheckpointError, match="layers is 0, expected at least 1"):
        StyleSpec(layers=0)
