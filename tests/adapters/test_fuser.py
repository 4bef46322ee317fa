"""The fuser computes what the authors' does, for any of the kinds that it knows."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from armature.adapters.features import Features
from armature.adapters.networks.fuser import TASKS, FuserSpec
from armature.adapters.registry import build_adapter
from armature.checkpoints.load import load_adapter
from armature.errors import AttachError

GOLDEN = Path(__file__).parents[1] / "golden"


def golden():
    values = load_file(GOLDEN / "fuser.safetensors")
    with safe_open(GOLDEN / "fuser.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
    assert config["task_index"] == TASKS
    fuser = build_adapter(
        FuserSpec(config["unet_channels"], config["width"], config["num_heads"], config["num_layers"])
    )
    fuser.load_state_dict({name[6:]: value for name, value in values.items() if name.startswith("state.")})
    maps = {
        kind: Features(tuple(values[f"input.{kind}.scale{level}"] for level in range(4)))
        for kind in ("sketch", "depth")
    }
    given = [
        ("sketch", maps["sketch"]), ("style", Features(tokens=values["input.style.tokens"])), ("depth", maps["depth"]),
    ]  # fmt: skip
    return fuser.eval(), given, values


@torch.no_grad()
def test_sums_and_tokens_equal_the_authors_in_any_order() -> None:
    fuser, given, values = golden()
    for order in (given, given[::-1]):
        features = fuser(order)
        for level, feature in enumerate(features.maps):
            torch.testing.assert_close(feature, values[f"output.scale{level}"], atol=1e-5, rtol=0)
        torch.testing.assert_close(features.tokens, values["output.tokens"], atol=1e-5, rtol=0)


def test_keys_shapes_and_parameters_are_the_published_ones(tmp_path: Path) -> None:
    published = json.loads((GOLDEN / "original_keys.json").read_text())["coadapter_fuser"]
    with torch.device("meta"):
        fuser = build_adapter(FuserSpec())
    assert {key: list(value.shape) for key, value in fuser.state_dict().items()} == published["keys"]
    assert sum(parameter.numel() for parameter in fuser.parameters()) == published["parameters"]


def test_a_new_fuser_changes_nothing() -> None:
    fuser = build_adapter(FuserSpec((8, 16), 24, 4, 1))
    maps = Features((torch.randn(1, 8, 4, 4), torch.randn(1, 16, 2, 2)))
    tokens = Features(tokens=torch.randn(1, 8, 24))
    with torch.no_grad():
        fused = fuser([("depth", maps), ("style", tokens)])
    assert all(torch.equal(ours, other) for ours, other in zip(fused.maps, maps.maps, strict=True))
    assert torch.equal(fused.tokens, tokens.tokens)


def test_the_official_file_loads(tmp_path: Path) -> None:
    fuser = build_adapter(FuserSpec(layers=1))
    torch.save(fuser.state_dict(), tmp_path / "coadapter-fuser-sd15v1.pth")
    loaded = load_adapter(tmp_path / "coadapter-fuser-sd15v1.pth")
    assert (loaded.spec, loaded.takes, loaded.card.notes) == (fuser.spec, "features", ())


def test_what_it_cannot_join_is_named() -> None:
    fuser = build_adapter(FuserSpec((8, 16), 24, 4, 1))
    maps = Features((torch.zeros(1, 8, 4, 4), torch.zeros(1, 16, 2, 2)))
    with pytest.raises(AttachError, match="does not know the kind 'lineart'; it joins sketch, keypose, seg"):
        fuser([("lineart", maps)])
    with pytest.raises(AttachError, match="The fuser got no features"):
        fuser([])
    with pytest.raises(AttachError, match=r"sketch features have the widths \[8\], and the fuser takes \[8, 16\]"):
        fuser([("sketch", Features(maps.maps[:1]))])
    with pytest.raises(AttachError, match="style tokens have the width 8, and the fuser takes 24"):
        fuser([("style", Features(tokens=torch.zeros(1, 4, 8)))])
    with pytest.raises(AttachError, match=r"features of the batches \[1, 2\]"):
        fuser([("sketch", maps), ("style", Features(tokens=torch.zeros(2, 4, 24)))])
