from dataclasses import replace

import pytest

from armature.conditions.contract import InputContract
from armature.conditions.kinds import KINDS, canonical_kind, content_of, contract_for, find_kind, kind_in_source
from armature.conditions.registry import default_extractor, find_extractor
from armature.errors import ConditionError


@pytest.mark.parametrize("name", KINDS.names())
def test_every_record_agrees_with_itself(name):
    kind = find_kind(name)
    assert kind.summary
    assert all(canonical_kind(alias) == name for alias in kind.aliases)
    for contract in (kind.contract, *kind.contracts.values()):
        assert contract.kind == name
        assert (kind.content == "line") == (contract.polarity == "white on black")
        assert contract.palette is None or kind.content == "label"
    for made in filter(None, (kind.extractor, kind.embedded_extractor)):
        assert find_extractor(made).kind == name
    assert (kind.extractor is None) == (name == "style")


def test_how_maps_are_resized_is_told_by_their_contract():
    known = {name: content_of(contract_for(name)) for name in KINDS.names()}
    assert {name for name, content in known.items() if content == "label"} == {"seg", "openpose", "keypose", "color"}
    # Soft lines lose their grey levels where the nearest pixel is taken.
    assert {name for name, content in known.items() if content == "line"} == {"sketch", "canny"}
    assert content_of(replace(contract_for("lineart"), binarize=0.4)) == "line"
    assert content_of(contract_for(None, in_channels=3)) == "picture"


def test_pictures_of_the_embedded_base_have_extractors_of_their_own():
    assert default_extractor("pose") == "openpose"
    assert default_extractor("pose", embedded=True) == "embedded:openpose"
    assert default_extractor("tile", embedded=True) == "tile"
    with pytest.raises(ConditionError, match="'style' has no map to extract"):
        default_extractor("style")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pidinet", "sketch"),
        ("HED", "softedge"),
        ("soft-edge", "softedge"),
        ("midas", "depth"),
        ("Depth Anything", "depth"),
        ("segmentation", "seg"),
        ("pose", "openpose"),
        ("colour", "color"),
    ],
)
def test_names_of_other_tools(name, kind):
    assert canonical_kind(name) == kind


def test_unknown_kind_names_the_known_and_the_nearest():
    with pytest.raises(ConditionError, match=r"Unknown kind of control 'dept'; known kinds: sketch, .*mean 'depth'\?"):
        canonical_kind("dept")
    with pytest.raises(ConditionError, match=r"style\.$"):
        canonical_kind("xyzzy")


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("TencentARC/t2i-adapter-depth-midas-sdxl-1.0", "depth"),
        ("models/t2iadapter_sketch_sd15v2.pth", "sketch"),
        ("t2iadapter_keypose_sd14v1.pth", "keypose"),
        ("coadapter-color-sd15v1.pth", "color"),
        ("embedded:openpose", "openpose"),
        ("canny/run-7", None),
    ],
)
def test_kind_is_read_off_the_last_part_of_a_name(source, kind):
    assert kind_in_source(source) == kind


def test_sd_sketch_is_one_binary_channel_of_white_on_black():
    contract = contract_for(None, source="TencentARC/t2iadapter_sketch_sd15v2")
    assert (contract.channels, contract.order, contract.binarize) == (1, "L", 0.5)
    assert contract.polarity == "white on black"


def test_only_sdxl_openpose_is_blue_first():
    assert contract_for("openpose", source="TencentARC/t2i-adapter-openpose-sdxl-1.0").order == "BGR"
    assert contract_for("openpose", family="sdxl").order == "BGR"
    assert contract_for("openpose", family="sd1", source="my-sdxl-named-file").order == "RGB"
    assert contract_for("canny", family="sdxl").order == "RGB"


def test_counted_channels_outrank_the_table():
    assert contract_for("canny", family="sdxl", in_channels=1).order == "L"
    assert contract_for("sketch", in_channels=3).order == "RGB"
    assert contract_for("openpose", family="sdxl", in_channels=3).order == "BGR"
    assert (contract_for(None, in_channels=12).order, contract_for(None, in_channels=12).channels) == ("raw", 12)


def test_palettes():
    assert contract_for("seg").palette == "coco-stuff"
    assert contract_for(None, source="embedded:seg").palette == "toyworld"
    assert contract_for("depth", source="embedded:depth").palette is None


def test_contract_can_be_overridden_but_not_into_nonsense():
    contract = contract_for("openpose")
    assert replace(contract, order="BGR").order == "BGR"
    with pytest.raises(ConditionError, match="order 'L' has 1 channels, not 3"):
        replace(contract, order="L")
    with pytest.raises(ConditionError, match=r"range is \(1.0, 0.0\)"):
        replace(contract, range=(1.0, 0.0))
    with pytest.raises(ConditionError, match="threshold is 2"):
        InputContract("sketch", 1, "L", binarize=2)
