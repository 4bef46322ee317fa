"""The networks compute what the authors' do, at any size, and have their keys."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.networks.light import LightSpec
from armature.adapters.networks.spatial import SD_CHANNELS
from armature.adapters.registry import build_adapter, spec_from_dict
from armature.adapters.spec import AdapterSpec, MapShape
from armature.errors import CheckpointError, ConditionError

GOLDEN = Path(__file__).parents[1] / "golden"
PRESETS = {"full": FullSpec, "full_xl": FullXLSpec, "light": LightSpec}
PUBLISHED = {
    "full_sd_1ch": FullSpec(1),
    "full_sd_3ch": FullSpec(3),
    "full_xl_1ch": FullXLSpec(1),
    "full_xl_3ch": FullXLSpec(3),
    "light_color_sd_3ch": LightSpec(3),
}


@pytest.mark.parametrize("network", PRESETS)
def test_features_equal_the_authors(network: str) -> None:
    path = GOLDEN / f"{network}.safetensors"
    golden = load_file(path)
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    spec = PRESETS[network](
        config["in_channels"], config["channels"], blocks=config["num_res_blocks"], stride=config["downscale_factor"]
    )
    adapter = build_adapter(spec)
    adapter.load_state_dict({name[6:]: tensor for name, tensor in golden.items() if name.startswith("state.")})
    with torch.no_grad():
        features = adapter(golden["input.image"])
    expected = [golden[f"output.scale{level}"] for level in range(spec.levels)]
    assert len(features.maps) == len(expected)
    for ours, theirs in zip(features.maps, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_shapes_and_parameters_are_the_published_ones(name: str) -> None:
    published = json.loads((GOLDEN / "original_keys.json").read_text())[name]
    with torch.device("meta"):
        adapter = build_adapter(PUBLISHED[name])
    assert {key: list(value.shape) for key, value in adapter.state_dict().items()} == published["keys"]
    assert sum(parameter.numel() for parameter in adapter.parameters()) == published["parameters"]


def test_tiny_adapter_of_the_paper_has_five_million_parameters() -> None:
    with torch.device("meta"):
        adapter = build_adapter(LightSpec(divisor=8))
    assert sum(parameter.numel() for parameter in adapter.parameters()) == 5_083_960


@pytest.mark.parametrize(
    ("spec", "pixels", "sizes"),
    [
        (FullSpec(1, (4, 4, 4, 4)), 264, [33, 17, 9, 5]),
        (FullSpec(1, (4, 4, 4, 4), conv_down=True), 264, [33, 17, 9, 5]),
        (LightSpec(1, (4, 4, 4, 4)), 264, [33, 17, 9, 5]),
        (FullXLSpec(1, (4, 4, 4, 4)), 272, [17, 17, 9, 9]),
    ],
)
def test_odd_levels_stay_in_step_with_stride_two_convolutions(spec: AdapterSpec, pixels: int, sizes: list[int]) -> None:
    with torch.no_grad():
        features = build_adapter(spec)(torch.zeros(2, 1, pixels, spec.stride))
    assert [feature.shape[2] for feature in features.maps] == sizes
    assert [-(-pixels // one.stride) for one in spec.maps] == sizes
    assert features.batch == 2


def test_variants_have_the_authors_keys() -> None:
    with torch.device("meta"):
        keys = set(build_adapter(FullSpec(1, (4, 8), kernel=3, skep=True, conv_down=True)).state_dict())
    assert {"body.0.in_conv.weight", "body.1.in_conv.weight", "body.0.skep.weight", "body.2.down_opt.op.weight"} <= keys
    assert not {"body.0.down_opt.op.weight", "body.1.down_opt.op.weight", "body.3.down_opt.op.weight"} & keys


def test_sdxl_halves_before_its_third_level_only() -> None:
    assert FullXLSpec().downs == (False, False, True, False)
    assert FullXLSpec().maps == tuple(map(MapShape, SD_CHANNELS, (16, 16, 32, 32)))


def test_family_follows_the_network() -> None:
    assert build_adapter(FullSpec(1, (4,))).card.family == "sd"
    assert build_adapter(FullXLSpec(1, (4, 4, 4))).card.family == "sdxl"


def test_every_mistake_in_a_spec_is_reported_together() -> None:
    with pytest.raises(CheckpointError) as caught:
        FullSpec(0, (), blocks=0, kernel=2)
    assert str(caught.value) == (
        "This is no adapter network: in_channels is 0, expected at least 1; blocks is 0, expected at least 1; "
        "channels are [], expected one positive width per level; "
        "kernel is 2, expected an odd number, 1 or 3 in the authors' files."
    )


def test_widths_that_the_network_cannot_have_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"widths \[6\] are not multiples of the divisor 4"):
        LightSpec(3, (8, 6))
    with pytest.raises(CheckpointError, match=r"SDXL widths \[4, 4, 4, 8\] change after the third level"):
        FullXLSpec(3, (4, 4, 4, 8))


def test_spec_survives_json() -> None:
    spec = FullSpec(2, (4, 8, 8), kernel=3, skep=True)
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    with pytest.raises(CheckpointError, match=re.escape("Unknown fields in an adapter spec: ['colour']")):
        spec_from_dict({**spec.to_dict(), "colour": 1})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 64, 64), "has shape (3, 64, 64); expected (batch, 3, height, width)"),
        ((1, 1, 64, 64), "has 1 channels; this adapter takes 3"),
        ((1, 3, 64, 60), "is 60x64 pixels; this adapter needs multiples of 8"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConditionError, match=re.escape(message)):
        build_adapter(FullSpec(3, (4,)))(torch.zeros(shape))
