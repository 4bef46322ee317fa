"""The held-out loss changes with the adapter's weights and with nothing else."""

from dataclasses import replace

import pytest
import torch
from small_training import ALPHAS, PositionBatches, settings, small_adapter, small_unet, small_xl_unet

from armature.errors import RecipeError
from armature.injection.hooks import injected
from armature.training.callbacks.held_out_loss import HeldOutLoss, _drawn
from armature.training.trainer.noise import NoisedBatch
from armature.training.trainer.step import adapter_loss, freeze


def held_out(unet=None, **options):
    return HeldOutLoss(freeze_(unet or small_unet()), ALPHAS, "epsilon", **options)


def freeze_(unet):
    freeze(unet)
    return unet


def samples(sizes=(3, 2), xl=False):
    source = PositionBatches(settings(), xl=xl)
    first = 0
    for size in sizes:
        yield source.at(range(first, first + size))
        first += size


def test_the_same_weights_give_the_same_numbers():
    adapter, loss = small_adapter(), held_out()
    first = loss.measure(samples(), adapter)
    torch.manual_seed(99)
    assert loss.measure(samples(), adapter) == first
    assert first.count == 5


def test_how_samples_are_batched_does_not_matter():
    adapter, loss = small_adapter(), held_out()
    whole, parts = loss.measure(samples((5,)), adapter), loss.measure(samples((1, 3, 1)), adapter)
    assert whole.buckets == pytest.approx(parts.buckets, rel=1e-5)


def test_buckets_share_the_schedule_between_them():
    loss = held_out(buckets=3)
    assert [loss.bounds(k) for k in range(3)] == [(0, 333), (333, 666), (666, 1000)]
    assert loss.names == ("t000-333", "t333-666", "t666-1000")
    with pytest.raises(RecipeError, match="0 timestep buckets were asked for; expected 1 to 1000"):
        held_out(buckets=0)


def test_no_sample_is_a_mistake():
    with pytest.raises(RecipeError, match=r"no held-out sample to measure on; give data\.held_out"):
        held_out().measure([], small_adapter())


def test_the_base_alone_is_an_adapter_that_adds_nothing():
    silent = small_adapter()
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
    loss = held_out()
    assert loss.measure(samples(), None).buckets == pytest.approx(loss.measure(samples(), silent).buckets, rel=1e-6)


def test_sdxl_gets_its_sizes_and_pooled_states():
    measured = held_out(small_xl_unet()).measure(samples(xl=True), small_adapter(xl=True))
    assert measured.count == 5
    assert measured.mean > 0


def test_a_base_in_half_precision_is_measured_too():
    types = (torch.float32, torch.bfloat16)
    wide, narrow = (held_out(small_unet(dtype)).measure(samples(), small_adapter()) for dtype in types)
    assert narrow.mean == pytest.approx(wide.mean, rel=0.05)


def test_learning_lowers_it():
    unet, adapter = freeze_(small_unet()), small_adapter()
    loss = held_out(unet)
    before = loss.measure(samples(), adapter).mean
    optimizer = torch.optim.AdamW(adapter.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(0)
    with injected(unet) as injection:
        for _ in range(15):
            encoded = PositionBatches(settings()).at(range(5))
            t = torch.randint(0, 1000, (5,), generator=generator)
            noise = torch.randn(encoded.mean.shape, generator=generator)
            batch = NoisedBatch(encoded.mean, encoded.text.states, encoded.control, t, noise)
            adapter_loss(injection, unet, adapter, batch, ALPHAS, "epsilon").backward()
            optimizer.step()
            optimizer.zero_grad()
    assert loss.measure(samples(), adapter).mean < before


def test_it_is_the_mean_squared_error_written_out():
    unet, seen = freeze_(small_unet()), {}
    unet.register_forward_hook(lambda module, given, out: seen.update(x=given[0], t=given[1], out=out[0]))
    encoded = next(samples((5,)))
    encoded = replace(encoded, std=torch.zeros_like(encoded.std))
    measured = held_out(unet, buckets=1).measure([encoded], small_adapter())
    # The noise is read off what the U-Net was given: x_t = sqrt(a) x_0 + sqrt(1 - a) e, with the mean as x_0.
    a = ALPHAS[seen["t"]].view(-1, 1, 1, 1)
    noise = (seen["x"] - a.sqrt() * encoded.mean) / (1 - a).sqrt()
    assert measured.mean == pytest.approx((seen["out"] - noise).square().mean().item(), rel=1e-4)


@pytest.mark.parametrize("arithmetic", [torch.float32, torch.bfloat16])
def test_it_computes_as_a_training_step_does(arithmetic):
    unet, adapter, batch = freeze_(small_unet()), small_adapter(), next(samples((1,)))
    loss = held_out(unet, arithmetic=arithmetic, buckets=1).measure([batch], adapter)
    step, numbers = _drawn(batch.keys[0], (0, len(ALPHAS)), batch.mean.shape[1:])
    latents = batch.mean + batch.std * numbers[:1]
    timesteps, noise = torch.tensor([step]), numbers[1:]
    noised = NoisedBatch(latents, batch.text.states, batch.control, timesteps, noise)
    with injected(unet) as injection, torch.no_grad():
        learned = adapter_loss(injection, unet, adapter, noised, ALPHAS, "epsilon", arithmetic=arithmetic)
    assert loss.mean == pytest.approx(float(learned), rel=1e-6)
