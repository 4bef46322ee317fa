"""Tokens go behind the text context: of the rows that see the prompt, and of no others."""

import pytest
import torch
from small_models import sd_unet, unet_inputs

from armature import AttachError, Features
from armature.injection.context import ContextAddition, context_width, extended
from armature.injection.hooks import injected

WIDTH = 32


def test_tokens_are_appended_and_the_other_rows_repeat_their_own_last_ones():
    context = torch.arange(2 * 5 * 3, dtype=torch.float32).view(2, 5, 3)
    tokens = torch.full((1, 2, 3), -1.0)
    longer = extended(context, [ContextAddition(tokens, torch.tensor([False, True]))])
    assert torch.equal(longer[:, :5], context)
    assert torch.equal(longer[0, 5:], context[0, 3:])
    assert torch.equal(longer[1, 5:], tokens[0])


def test_a_context_shorter_than_the_tokens_is_repeated_around():
    context = torch.arange(3, dtype=torch.float32).view(1, 3, 1)
    longer = extended(context, [ContextAddition(torch.zeros(1, 7, 1), torch.tensor([False]))])
    assert longer.flatten().tolist() == [0, 1, 2, 2, 0, 1, 2, 0, 1, 2]


def test_given_tokens_equal_a_longer_context_bit_for_bit():
    unet, tokens = sd_unet(), torch.randn(1, 8, WIDTH)
    inputs = unet_inputs(unet, batch=2)
    assert context_width(unet) == WIDTH
    plain = unet(**inputs).sample
    context = inputs["encoder_hidden_states"]
    longer = unet(**{**inputs, "encoder_hidden_states": torch.cat([context, tokens.expand(2, -1, -1)], dim=1)}).sample
    with injected(unet, Features(tokens=tokens)):
        assert torch.equal(unet(**inputs).sample, longer)
        positional = (inputs["sample"], inputs["timestep"], context)
        assert torch.equal(unet(*positional).sample, longer)
    assert torch.equal(unet(**inputs).sample, plain)
    assert not unet._forward_pre_hooks


def test_copies_of_guidance_get_the_maps_all_and_the_tokens_where_the_prompt_is():
    unet, tokens = sd_unet(), torch.randn(2, 4, WIDTH)
    inputs = unet_inputs(unet, batch=4)
    context = inputs["encoder_hidden_states"]
    added = torch.cat([context[:2, -4:], tokens])
    longer = unet(**{**inputs, "encoder_hidden_states": torch.cat([context, added], dim=1)}).sample
    with injected(unet, Features(tokens=tokens), (False, True)):
        assert torch.equal(unet(**inputs).sample, longer)


def test_gradients_reach_the_tokens():
    unet, tokens = sd_unet(), torch.randn(1, 4, WIDTH, requires_grad=True)
    with torch.enable_grad(), injected(unet, Features(tokens=tokens)):
        unet(**unet_inputs(unet)).sample.square().mean().backward()
    assert tokens.grad.abs().sum() > 0


def test_tokens_of_another_width_are_refused():
    with pytest.raises(AttachError, match=r"Tokens of width 24 do not fit .* whose text context has the width 32"):
        injected(sd_unet(), Features(tokens=torch.zeros(1, 8, 24)))
