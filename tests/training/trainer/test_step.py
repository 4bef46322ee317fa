"""The training step sends gradients to the adapter alone, and they are the right ones."""

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel

from armature.adapters.networks.full import FullSpec
from armature.adapters.registry import build_adapter
from armature.bases.schedule import alphas_of, noised, target
from armature.errors import RecipeError
from armature.injection.hooks import injected
from armature.training.trainer.noise import NoisedBatch
from armature.training.trainer.step import adapter_loss, freeze, mean_squared_error, min_snr_weight

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
    inputs = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 8), torch.rand(2, 1, 64, 64)
    return unet, adapter, NoisedBatch(*inputs, torch.tensor([200, 900]), torch.randn(2, 4, 8, 8))


def only_adapter_has_gradients(adapter, unet):
    here = all(parameter.grad is not None for parameter in adapter.parameters())
    return here and all(parameter.grad is None for parameter in unet.parameters())


def backward(unet, adapter, batch, prediction="epsilon"):
    with injected(unet) as injection:
        alphas = alphas_of(DDPMScheduler())
        loss = adapter_loss(injection, unet, adapter, batch, alphas, prediction)
        loss.backward()
    return loss


def test_only_the_adapter_gets_gradients(parts):
    unet, adapter, *rest = parts
    freeze(unet)
    backward(unet, adapter, *rest)
    assert only_adapter_has_gradients(adapter, unet)


def test_freezing_the_base_leaves_the_adapters_gradients_as_they_are(parts):
    unet, adapter, batch = parts
    alphas = alphas_of(DDPMScheduler())
    a = alphas[batch.timesteps].view(-1, 1, 1, 1)
    with injected(unet, adapter(batch.control)):
        out = unet(
            a.sqrt() * batch.latents + (1 - a).sqrt() * batch.noise, batch.timesteps, batch.text, return_dict=False
        )[0]
        (out - batch.noise).square().mean().backward()
    assert not only_adapter_has_gradients(adapter, unet)
    open_base = [parameter.grad.clone() for parameter in adapter.parameters()]
    adapter.zero_grad()
    unet.zero_grad()
    freeze(unet)
    backward(unet, adapter, batch)
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


THREE_ALPHAS = torch.tensor([0.99, 0.5, 0.02])


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 4, 8, 8, generator=generator), torch.randn(3, 4, 8, 8, generator=generator)


def test_the_true_v_gives_back_the_clean_latent(pair):
    x0, e = pair
    a = THREE_ALPHAS.view(-1, 1, 1, 1)
    xt, v = noised(x0, e, THREE_ALPHAS), target("v_prediction", x0, e, THREE_ALPHAS)
    assert torch.allclose(a.sqrt() * xt - (1 - a).sqrt() * v, x0, atol=1e-5)
    assert torch.allclose((1 - a).sqrt() * xt + a.sqrt() * v, e, atol=1e-5)


def test_epsilon_is_the_noise_itself(pair):
    assert target("epsilon", *pair, THREE_ALPHAS) is pair[1]


def test_min_snr_weights_are_equal_errors_of_the_clean_latent():
    # An error d of x0 is an error d^2 snr of epsilon and d^2 (snr + 1) of v: weighted, both count min(snr, cap) d^2.
    snr = THREE_ALPHAS / (1 - THREE_ALPHAS)
    assert torch.allclose(min_snr_weight("epsilon", THREE_ALPHAS) * snr, snr.clamp(max=5.0))
    assert torch.allclose(min_snr_weight("v_prediction", THREE_ALPHAS) * (snr + 1), snr.clamp(max=5.0))


def test_the_error_is_averaged_per_sample_and_weighted(pair):
    x, y = pair
    weight = torch.tensor([1.0, 0.0, 2.0])
    each = (x - y).square().mean((1, 2, 3))
    assert mean_squared_error(x, y, weight).item() == pytest.approx((each * weight).mean().item(), rel=1e-6)


def test_half_precision_errors_are_summed_in_float32():
    ones = torch.full((1, 4, 8, 8), 300.0, dtype=torch.float16)
    assert mean_squared_error(ones, -ones).item() == pytest.approx(360_000.0)


@pytest.mark.parametrize(
    "function",
    [lambda: target("flow", *[THREE_ALPHAS] * 3), lambda: min_snr_weight("x", THREE_ALPHAS)],
)
def test_unknown_predictions_are_refused(function):
    with pytest.raises(RecipeError, match=r"The base predicts '(flow|x)'"):
        function()
