"""Networks are told apart by keys and shapes, and ambiguity is said aloud."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from armature.adapters.base import Adapter
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.networks.light import LightSpec
from armature.adapters.save import save_adapter
from armature.adapters.spec import AdapterSpec
from armature.checkpoints.detect import Evidence, detect, expected_shapes
from armature.checkpoints.load import load_adapter
from armature.checkpoints.naming import family_of
from armature.errors import CheckpointError

Make = Callable[..., Adapter]
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("full_sd_1ch", FullSpec(1)),
        ("full_sd_3ch", FullSpec(3)),
        ("full_xl_1ch", FullXLSpec(1)),
        ("full_xl_3ch", FullXLSpec(3)),
        ("light_color_sd_3ch", LightSpec(3)),
    ],
)
def test_published_keys(name: str, spec: AdapterSpec) -> None:
    keys = json.loads((GOLDEN / "original_keys.json").read_text())[name]["keys"]
    found = detect({key: tuple(shape) for key, shape in keys.items()}, "file")
    assert found.spec == spec
    assert found.layout == "original"


@pytest.mark.parametrize(
    "spec",
    [
        FullSpec(3, (64, 128, 192, 256)),
        FullSpec(1, (64, 64, 64, 64)),
        FullSpec(2, (8, 16, 32), blocks=3),
        FullSpec(3, (8, 16, 32, 32), blocks=1),
        FullSpec(3, (8, 16, 32, 32), blocks=3, kernel=3),
        FullSpec(3, (8, 8, 8, 8), skep=True, conv_down=True),
        FullSpec(5, (8, 16, 16, 16)),
        FullSpec(12, (8, 16, 24, 32)),
        FullSpec(4, (8, 16, 16, 16), conv_down=True),
        FullXLSpec(3, (8, 16, 32, 32), conv_down=True),
        FullXLSpec(2, (8, 8, 16), blocks=2, conv_down=True),
        LightSpec(12, (8, 16, 32, 32)),
        LightSpec(3, (16, 32, 64, 64), divisor=8, blocks=2),
    ],
    ids=str,
)
def test_any_numbers_are_read_off_the_shapes(spec: AdapterSpec) -> None:
    found = detect(expected_shapes(spec), "file")
    assert found.spec == spec
    assert found.notes == ()


@pytest.mark.parametrize(("channels", "xl_channels"), [(12, 3), (4, 1)])
def test_a_stem_that_fits_both_families_is_noted_and_settled_by_any_evidence(channels: int, xl_channels: int) -> None:
    twelve, xl = FullSpec(channels), FullXLSpec(xl_channels)
    shapes = expected_shapes(twelve)
    assert shapes == expected_shapes(xl)
    found = detect(shapes, "file")
    assert found.spec == xl
    assert f"say in_channels={channels} if that is meant" in found.notes[0]
    for evidence in (Evidence(spec=twelve), Evidence(family="sd"), Evidence(in_channels=channels)):
        assert detect(shapes, "file", evidence).spec == twelve
        assert detect(shapes, "file", evidence).notes == ()


def test_twelve_channels_survive_our_files(make: Make, tmp_path: Path) -> None:
    adapter = make(FullSpec(12, (8, 8, 8, 8)))
    save_adapter(adapter, tmp_path / "folder")
    save_adapter(adapter, tmp_path / "file.safetensors", layout="original")
    torch.save(adapter.state_dict(), tmp_path / "bare.pth")
    torch.save(adapter.state_dict(), tmp_path / "rgba_stack_sd15.pth")
    assert load_adapter(tmp_path / "folder").spec == adapter.spec
    assert load_adapter(tmp_path / "folder" / "diffusion_pytorch_model.safetensors").spec == adapter.spec
    assert load_adapter(tmp_path / "file.safetensors").spec == adapter.spec
    assert load_adapter(tmp_path / "rgba_stack_sd15.pth").spec == adapter.spec
    assert load_adapter(tmp_path / "bare.pth", in_channels=12).spec == adapter.spec
    assert load_adapter(tmp_path / "bare.pth").spec.network == "full_xl"
    with pytest.raises(CheckpointError, match="no network fits its shapes with the stated in_channels=5"):
        load_adapter(tmp_path / "bare.pth", in_channels=5)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("t2iadapter_sketch_sd14v1.pth", "sd"),
        ("TencentARC/t2iadapter_depth_sd15v2", "sd"),
        ("TencentARC/t2i-adapter-canny-sdxl-1.0", "sdxl"),
        ("models_XL/adapter-xl-canny.pth", "sdxl"),
        ("pixl.pth", None),
        ("sdxl_from_sd15.pth", None),
        ("adapter.safetensors", None),
    ],
)
def test_what_names_say_of_the_family(name: str, family: str | None) -> None:
    assert family_of(name) == family


def test_missing_extra_and_misshapen_keys_are_named(make: Make, tmp_path: Path) -> None:
    state = make("full").state_dict()
    del state["body.3.block1.weight"], state["body.7.block2.bias"]
    state["body.0.norm.weight"] = torch.ones(8)
    state["body.2.block2.weight"] = torch.ones(16, 16, 3, 3)
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_adapter(tmp_path / "odd.safetensors")
    assert str(caught.value) == (
        f"{tmp_path}/odd.safetensors looks like a full adapter of widths [8, 16, 32, 32], but its keys do not fit: "
        "2 missing (body.3.block1.weight, body.7.block2.bias); 1 left over (body.0.norm.weight); "
        "1 of another shape (body.2.block2.weight is [16, 16, 3, 3], expected [16, 16, 1, 1]). "
        "Use an intact file of exactly one adapter."
    )


def test_a_missing_stem_is_named(make: Make) -> None:
    for network, stem in (("full", "conv_in.weight"), ("light", "body.0.in_conv.weight")):
        shapes = {name: tuple(tensor.shape) for name, tensor in make(network).state_dict().items() if name != stem}
        with pytest.raises(CheckpointError, match=f"file has an adapter's keys, but {stem} is missing"):
            detect(shapes, "file")


def test_config_that_contradicts_the_weights_is_refused(make: Make, tmp_path: Path) -> None:
    state = make("full").state_dict()
    save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "T2IAdapter", "in_channels": 1}))
    message = "has 192 stem channels in its weights, but its config or metadata states 1 channels at stride 8"
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_adapter(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "T2IAdapter", "num_res_blocks": 10**9}))
    with pytest.raises(CheckpointError, match="states 4 levels of 1000000000 blocks"):
        load_adapter(tmp_path)


def test_shapes_without_meaning_are_refused() -> None:
    nonsense = {"conv_in.weight": (), "body.0.block1.weight": (), "body.999999999.block1.weight": (4,)}
    with pytest.raises(CheckpointError, match="no network fits its shapes: the stem is"):
        detect(nonsense, "file")
    with pytest.raises(CheckpointError, match="no network fits its shapes: the stem is"):
        detect({**expected_shapes(FullSpec(3, (8,))), "conv_in.weight": (8, 100, 3, 3)}, "file")
