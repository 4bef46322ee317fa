"""diffusers' own adapter objects are adapters here: alone, and several as one."""

import pytest
import torch
from diffusers import MultiAdapter, T2IAdapter

from armature.adapters.networks.bundle import BundleAdapter
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.light import LightSpec
from armature.adapters.registry import build_adapter
from armature.checkpoints.load import load_adapter
from armature.errors import CheckpointError, ConditionError


def theirs(channels=1, adapter_type="full_adapter", widths=(8, 16, 16), name=None):
    torch.manual_seed(channels)
    made = T2IAdapter(
        in_channels=channels, channels=list(widths), num_res_blocks=1, downscale_factor=8, adapter_type=adapter_type
    ).eval()
    if name is not None:
        made.register_to_config(_name_or_path=name)
    return made


@pytest.mark.parametrize("adapter_type", ["full_adapter", "light_adapter"])
def test_a_t2i_adapter_gives_the_same_features(adapter_type):
    module = theirs(3, adapter_type)
    adapter = load_adapter(module)
    expected = LightSpec(3, (8, 16, 16, 16), 1) if adapter_type == "light_adapter" else FullSpec(3, (8, 16, 16), 1)
    assert adapter.spec == expected
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        for ours, other in zip(adapter(image).maps, module(image), strict=True):
            torch.testing.assert_close(ours, other, atol=1e-6, rtol=0)
    assert next(adapter.parameters()).data_ptr() == next(module.parameters()).data_ptr()


def test_its_name_tells_the_kind_and_the_user_outranks_it():
    module = theirs(1, name="TencentARC/t2iadapter_sketch_sd15v2")
    assert load_adapter(module).card.kind == "sketch"
    assert load_adapter(module).contract.binarize == 0.5
    assert load_adapter(module, kind="lineart", dtype=torch.float16).card.kind == "lineart"
    assert load_adapter(module, dtype=torch.float16).dtype == torch.float16
    assert load_adapter(theirs()).card.kind is None


def test_a_multi_adapter_sums_its_members_as_diffusers_does():
    module = MultiAdapter([theirs(1), theirs(3)])
    bundle = load_adapter(module)
    assert isinstance(bundle, BundleAdapter)
    grey, colour = torch.rand(1, 1, 64, 64), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        ours = bundle(torch.cat([grey, colour], dim=1)).maps
        expected = [a + b for a, b in zip(module.adapters[0](grey), module.adapters[1](colour), strict=True)]
    for feature, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(feature, other, atol=1e-6, rtol=0)


def test_a_bundle_wants_one_picture_for_each_member(tmp_path):
    bundle = load_adapter(MultiAdapter([theirs(1), theirs(3)]))
    with pytest.raises(ConditionError, match="joins 2 adapters and got 1 pictures; give one each"):
        bundle.read([torch.rand(1, 64, 64)])
    with pytest.raises(CheckpointError, match="cannot be saved: it joins several; save its members one by one"):
        bundle.save_pretrained(tmp_path)


def test_members_whose_maps_cannot_be_added_and_other_objects_are_refused():
    with pytest.raises(CheckpointError, match="members give maps of different shapes"):
        BundleAdapter([build_adapter(FullSpec(1, (8, 8))), build_adapter(FullSpec(1, (8, 16)))])
    with pytest.raises(CheckpointError, match="A Linear is no adapter; expected a path, a hub id, or diffusers'"):
        load_adapter(torch.nn.Linear(1, 1))
