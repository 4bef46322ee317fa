"""Given features enter the U-Net exactly where diffusers puts them, gradients flow, and nothing stays behind."""

import pytest
import torch
from small_models import WIDTHS, motion_unet, random_features, sd_unet, unet_inputs, video_inputs, xl_unet

from armature import AttachError, Features
from armature.injection.hooks import injected
from armature.injection.sites import find_sites


def features_for(unet, latent=(8, 8), batch=1):
    sites = find_sites(unet).all
    return random_features([site.size(latent) for site in sites], [site.channels for site in sites], batch)


@pytest.mark.parametrize("latent", [(8, 8), (17, 9)])
@pytest.mark.parametrize("build", [sd_unet, xl_unet])
def test_equals_the_intrablock_residuals_of_diffusers_bit_for_bit(build, latent):
    unet = build(layers=2)
    inputs, features = unet_inputs(unet, latent=latent), features_for(unet, latent, batch=2)
    expected = unet(**inputs, down_intrablock_additional_residuals=[feature.clone() for feature in features.maps])
    with injected(unet, features):
        assert torch.equal(unet(**inputs).sample, expected.sample)
    assert not torch.equal(unet(**inputs).sample, expected.sample)


def test_one_feature_is_broadcast_over_the_batch():
    unet = sd_unet()
    inputs, one = unet_inputs(unet, batch=3), features_for(unet)
    three = Features(tuple(feature.expand(3, -1, -1, -1) for feature in one.maps))
    with injected(unet, one):
        first = unet(**inputs).sample
    with injected(unet, three):
        assert torch.equal(unet(**inputs).sample, first)


def test_motion_features_reach_every_level_and_every_frame():
    unet = motion_unet()
    frames = 3
    inputs = video_inputs(unet, 2, frames)
    plain = unet(**inputs).sample
    for level in range(3):
        features = features_for(unet, batch=2 * frames)
        alone = Features(tuple(m if i == level else torch.zeros_like(m) for i, m in enumerate(features.maps)))
        with injected(unet, alone):
            change = (unet(**inputs).sample - plain).abs().amax(dim=(1, 3, 4))
        assert change.shape == (2, frames)
        assert change.min() > 0


def test_the_last_plain_motion_level_changes_its_output_and_its_last_skip():
    unet = motion_unet()
    seen = {}
    unet.down_blocks[-1].register_forward_hook(lambda module, args, output: seen.update(output=output))
    inputs = video_inputs(unet, 2, 3)
    with injected(unet, features_for(unet)):
        unet(**inputs)
    hidden, skips = seen["output"]
    assert hidden is skips[-1]


def test_gradients_reach_the_features_and_only_them():
    unet = sd_unet()
    maps = tuple(feature.requires_grad_() for feature in features_for(unet).maps)
    with torch.enable_grad(), injected(unet, Features(maps)):
        unet(**unet_inputs(unet)).sample.square().mean().backward()
    assert all(feature.grad is not None and feature.grad.abs().sum() > 0 for feature in maps)
    assert all(parameter.grad is None for parameter in unet.parameters())


def test_gradient_checkpointing_gives_the_same_gradients():
    unet, grads = sd_unet(layers=2), []
    unet.train()
    for checkpointing in (False, True):
        if checkpointing:
            unet.enable_gradient_checkpointing()
        maps = tuple(feature.requires_grad_() for feature in features_for(unet).maps)
        with torch.enable_grad(), injected(unet, Features(maps)):
            unet(**unet_inputs(unet)).sample.square().mean().backward()
        grads.append([feature.grad for feature in maps])
    for plain, checkpointed in zip(*grads, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_set_changes_the_features_between_two_calls():
    unet = sd_unet()
    inputs, features = unet_inputs(unet), features_for(unet)
    plain = unet(**inputs).sample
    with injected(unet) as injection:
        assert torch.equal(unet(**inputs).sample, plain)
        injection.set(features)
        assert not torch.equal(unet(**inputs).sample, plain)
        injection.set(None)
        assert torch.equal(unet(**inputs).sample, plain)


def test_no_hook_is_left_after_an_exception():
    unet = sd_unet()
    inputs, features = unet_inputs(unet), features_for(unet, latent=(9, 9))
    plain = unet(**inputs).sample
    meeting = r"of shape \(1, 32, 9, 9\) meets the output \(2, 32, 8, 8\) of down_blocks"
    with pytest.raises(AttachError, match=meeting), injected(unet, features):
        unet(**inputs)
    assert not any(module._forward_hooks for module in unet.modules())
    assert torch.equal(unet(**inputs).sample, plain)


def test_float32_features_enter_a_bfloat16_unet():
    unet = sd_unet().to(torch.bfloat16)
    inputs = {name: value.to(torch.bfloat16) for name, value in unet_inputs(unet).items()}
    with injected(unet, features_for(unet)):
        assert unet(**inputs).sample.dtype == torch.bfloat16


@pytest.mark.parametrize("widths", [WIDTHS[:3], (32, 64, 64, 64), (*WIDTHS, 64)])
def test_features_of_other_widths_are_refused_before_anything_is_touched(widths):
    unet = sd_unet()
    features = random_features([(8, 8)] * len(widths), widths)
    with pytest.raises(AttachError, match=r"do not fit UNet2DConditionModel .* give one map per site"):
        injected(unet, features)


def test_a_second_entry_is_refused():
    injection = injected(sd_unet())
    with injection, pytest.raises(AttachError, match="already active"):
        injection.__enter__()


def test_a_compiled_unet_stays_one_graph_when_the_features_change():
    torch.compiler.reset()
    unet, graphs = sd_unet(widths=(32, 32), mid_block_type=None), []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    inputs = unet_inputs(unet)
    with injected(unet, features_for(unet)) as injection:
        expected = unet(**inputs).sample
        compiled = torch.compile(unet, backend=backend, fullgraph=True)
        assert torch.equal(compiled(**inputs).sample, expected)
        for factor in (2.0, 3.0):
            injection.set(Features(tuple(feature * factor for feature in features_for(unet).maps)))
            assert not torch.equal(compiled(**inputs).sample, expected)
    assert len(graphs) == 1
