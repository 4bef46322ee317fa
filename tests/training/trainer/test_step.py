"""The training step sends gradients to the adapter alone, and they are the right ones."""

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel

from armature.adapters.networks.full import FullSpec
from armature.adapters.registry import build_adapter
from armature.bases.schedule import alphas_of
from armature.errors import RecipeError
from armature.injection.hooks import injected
from armature.training.trainer.step import Batch, adapter_loss, freeze

WIDTHS = (8, 16, 16, 16)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        cross_attention_dim=8,
        attention_head_dim=2,
        norm_num_groups=4,
        down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
    ).eval()
    adapter = build_adapter(FullSpec(1, WIDTHS, blocks=1))
    batch = Batch(torch.randn(2, 4, 8, 8), torch.randn(2, 5, 8), torch.rand(2, 1, 64, 64))
    return unet, adapter, batch, torch.tensor([200, 900]), torch.randn(2, 4, 8, 8)


def only_adapter_has_gradients(adapter, unet):
    here = all(parameter.grad is not None for parameter in adapter.parameters())
    return here and all(parameter.grad is None for parameter in unet.parameters())


def backward(unet, adapter, batch, timesteps, noise, prediction="epsilon"):
    with injected(unet) as injection:
        alphas = alphas_of(DDPMScheduler())
        loss = adapter_loss(injection, unet, adapter, batch, timesteps, noise, alphas, prediction)
        loss.backward()
    return loss


def test_only_the_adapter_gets_gradients(parts):
    unet, adapter, *rest = parts
    freeze(unet)
    backward(unet, adapter, *rest)
    assert only_adapter_has_gradients(adapter, unet)


def test_freezing_the_base_leaves_the_adapters_gradients_as_they_are(parts):
    unet, adapter, batch, timesteps, noise = parts
    alphas = alphas_of(DDPMScheduler())
    a = alphas[timesteps].view(-1, 1, 1, 1)
    with injected(unet, adapter(batch.control)):
        out = unet(a.sqrt() * batch.latents + (1 - a).sqrt() * noise, timesteps, batch.text, return_dict=False)[0]
        (out - noise).square().mean().backward()
    assert not only_adapter_has_gradients(adapter, unet)
    open_base = [parameter.grad.clone() for parameter in adapter.parameters()]
    adapter.zero_grad()
    unet.zero_grad()
    freeze(unet)
    backward(unet, adapter, batch, timesteps, noise)
    for parameter, expected in zip(adapter.parameters(), open_base, strict=True):
        assert torch.allclose(parameter.grad, expected, atol=1e-7, rtol=1e-4)


def test_an_unfrozen_base_is_refused(parts):
    with pytest.raises(RecipeError, match=r"The base model is not frozen; call armature\.training\.\w+\.step\.freeze"):
        backward(*parts)


def test_a_few_steps_lower_the_loss(parts):
    unet, adapter, *rest = parts
    freeze(unet)
    optimizer = torch.optim.AdamW(adapter.parameters(), 1e-2)
    losses = []
    for _ in range(12):
        losses.append(backward(unet, adapter, *rest, "v_prediction").item())
        optimizer.step()
        optimizer.zero_grad()
    assert min(losses[-3:]) < 0.95 * losses[0]
