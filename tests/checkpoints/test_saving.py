"""What is written loads in diffusers with equal outputs, comes back bit for bit, and appears whole or not at all."""

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from armature.adapters import save as save_module
from armature.adapters.base import Adapter
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.networks.light import LightSpec
from armature.adapters.save import save_adapter
from armature.checkpoints.load import load_adapter
from armature.conditions.kinds import contract_for
from armature.errors import CheckpointError

Make = Callable[..., Adapter]


@pytest.mark.parametrize("network", ["full", "full_1ch", "full_xl", "light"])
def test_diffusers_loads_the_folder_with_equal_outputs(make: Make, tmp_path: Path, network: str) -> None:
    from diffusers import T2IAdapter

    adapter = make(network)
    theirs = T2IAdapter.from_pretrained(save_adapter(adapter, tmp_path))
    image = torch.rand(2, adapter.spec.in_channels, 144, 176, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours, expected = adapter(image).maps, theirs(image)
    assert len(ours) == len(expected) == 4
    for feature, other in zip(ours, expected, strict=True):
        # The same operations on the same numbers; only the order of h + x may differ.
        torch.testing.assert_close(feature, other, atol=1e-6, rtol=0)


def test_a_folder_that_diffusers_wrote_loads(make: Make, tmp_path: Path) -> None:
    from diffusers import T2IAdapter

    theirs = T2IAdapter(
        in_channels=3, channels=[8, 16, 32], num_res_blocks=2, downscale_factor=8, adapter_type="light_adapter"
    )
    theirs.save_pretrained(tmp_path)
    adapter = load_adapter(tmp_path)
    image = torch.rand(1, 3, 64, 64)
    assert adapter.spec == LightSpec(3, (8, 16, 32, 32), blocks=2)
    with torch.no_grad():
        for feature, other in zip(adapter(image).maps, theirs(image), strict=True):
            torch.testing.assert_close(feature, other, atol=1e-6, rtol=0)


@pytest.mark.parametrize("network", ["full", "full_1ch", "full_xl", "light", "tiny", "variant"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_and_spec_come_back_bit_for_bit(make: Make, tmp_path: Path, network: str, dtype: torch.dtype) -> None:
    adapter = make(network).to(dtype)
    for path in (
        save_adapter(adapter, tmp_path / "folder"),
        save_adapter(adapter, tmp_path / "a.safetensors", layout="original"),
    ):
        loaded = load_adapter(path)
        assert loaded.spec == adapter.spec
        assert loaded.dtype == dtype
        assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in adapter.state_dict().items())


def test_light_config_makes_diffusers_build_four_blocks(make: Make, tmp_path: Path) -> None:
    save_adapter(make(LightSpec(3, (8, 16, 32, 32))), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "_class_name": "T2IAdapter",
        "adapter_type": "light_adapter",
        "channels": [8, 16, 32],
        "downscale_factor": 8,
        "in_channels": 3,
        "num_res_blocks": 4,
    }


@pytest.mark.parametrize("network", ["tiny", "variant"])
def test_what_diffusers_cannot_build_does_not_pose_as_its_class(make: Make, tmp_path: Path, network: str) -> None:
    adapter = make(network)
    save_adapter(adapter, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["_class_name"] == "ArmatureAdapter"
    with safe_open(tmp_path / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert set(file.keys()) == set(adapter.state_dict())


def test_original_file_never_has_the_prefix(make: Make, tmp_path: Path) -> None:
    with safe_open(save_adapter(make("full_xl"), tmp_path / "a.safetensors", layout="original"), "pt") as file:
        assert "conv_in.weight" in file.keys()  # noqa: SIM118 (not a mapping)
        assert not any(name.startswith("adapter.") for name in file.keys())  # noqa: SIM118


def test_card_travels_with_the_weights(make: Make, tmp_path: Path) -> None:
    adapter = make(FullSpec(3, (8, 8)))
    contract = replace(contract_for("openpose", in_channels=3), order="BGR", binarize=0.25)
    metadata = {"extractor": "own", "thresholds": [100, 200], "training": {"steps": 5, "base": "embedded"}}
    adapter.card = replace(adapter.card, kind="openpose", contract=contract, metadata=metadata)
    for path in (
        save_adapter(adapter, tmp_path / "folder"),
        save_adapter(adapter, tmp_path / "a.safetensors", layout="original"),
    ):
        card = load_adapter(path).card
        assert (card.kind, card.family, card.contract, dict(card.metadata)) == ("openpose", "sd", contract, metadata)
        # The saved contract belongs to the saved kind; another kind brings its own.
        overridden = load_adapter(path, kind="depth").contract
        assert overridden is not None
        assert (overridden.kind, overridden.order) == ("depth", "RGB")


def test_a_kind_of_ones_own_is_kept(make: Make, tmp_path: Path) -> None:
    adapter = make(FullSpec(3, (8, 8)))
    adapter.card = replace(adapter.card, kind="normal_map")
    loaded = load_adapter(save_adapter(adapter, tmp_path))
    assert loaded.card.kind == "normal_map"
    assert loaded.contract is not None
    assert loaded.contract.kind == "any"


def test_header_says_what_it_must_and_no_paths(make: Make, tmp_path: Path) -> None:
    adapter = load_adapter(save_adapter(make(FullXLSpec(3, (8, 8, 8))), tmp_path / "canny"))
    with safe_open(save_adapter(adapter, tmp_path / "a.safetensors", layout="original"), "pt") as file:
        header = file.metadata()
    assert header["format"] == "pt"
    assert json.loads(header["armature.kind"]) == "canny"
    assert json.loads(header["armature.family"]) == "sdxl"
    assert json.loads(header["armature.contract"])["polarity"] == "white on black"
    assert not any(str(tmp_path) in text for text in header.values())


def test_a_failed_write_leaves_the_old_file(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_adapter(make("full"), tmp_path / "a.safetensors", layout="original")
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(save_module, "save_file", full_disk)
    with pytest.raises(
        CheckpointError, match=r"a\.safetensors cannot be written \(.*No space left.*nothing was changed"
    ):
        save_adapter(make("light"), path, layout="original")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_files_are_as_open_as_any_other(make: Make, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    path = save_adapter(make("full"), tmp_path / "a.safetensors", layout="original")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_bad_targets(make: Make, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected one that ends in \.safetensors"):
        save_adapter(make("full"), tmp_path / "a.pth", layout="original")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"file cannot be made: File exists; choose another folder"):
        save_adapter(make("full"), tmp_path / "file")
    adapter = make("full")
    adapter.card = replace(adapter.card, metadata={"when": object()})
    with pytest.raises(CheckpointError, match="metadata cannot be written"):
        save_adapter(adapter, tmp_path / "folder")


@pytest.mark.parametrize(
    ("entry", "text", "message"),
    [
        ("armature.spec", "{", "has damaged Armature metadata"),
        ("armature.format", "2", "format 2 is unknown, this version reads 1; update Armature"),
        ("armature.contract", '{"order": "GBR"}', "has damaged Armature metadata"),
        ("armature.family", '"s d"', "family is 's d', expected a word such as 'sd' or 'sdxl'"),
        ("armature.spec", '{"network": "full"}', "Fields missing from an adapter spec"),
    ],
)
def test_damaged_metadata(make: Make, tmp_path: Path, entry: str, text: str, message: str) -> None:
    path = save_adapter(make("full"), tmp_path / "a.safetensors", layout="original")
    with safe_open(path, "pt") as file:
        header = file.metadata()
    save_module.save_file(make("full").state_dict(), path, {**header, entry: text})
    with pytest.raises(CheckpointError, match=message):
        load_adapter(path)
