"""The held-out loss changes with the adapter's weights and with nothing else."""

import pytest
import torch
from small_training import ALPHAS, PositionBatches, settings, small_adapter, small_unet, small_xl_unet

from armature.errors import RecipeError
from armature.injection.hooks import injected
from armature.training.callbacks.held_out import Probe
from armature.training.trainer.step import Batch, adapter_loss, freeze


def probe(unet=None, **options):
    return Probe(freeze_(unet or small_unet()), ALPHAS, "epsilon", **options)


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
    adapter, asked = small_adapter(), probe()
    first = asked.loss(samples(), adapter)
    torch.manual_seed(99)
    assert asked.loss(samples(), adapter) == first
    assert first.count == 5


def test_how_samples_are_batched_does_not_matter():
    adapter, asked = small_adapter(), probe()
    whole, parts = asked.loss(samples((5,)), adapter), asked.loss(samples((1, 3, 1)), adapter)
    assert whole.buckets == pytest.approx(parts.buckets, rel=1e-5)


def test_buckets_share_the_schedule_between_them():
    asked = probe(buckets=3)
    assert [asked.bounds(k) for k in range(3)] == [(0, 333), (333, 666), (666, 1000)]
    assert asked.names == ("t000-333", "t333-666", "t666-1000")
    with pytest.raises(RecipeError, match="0 timestep buckets were asked for; expected 1 to 1000"):
        probe(buckets=0)


def test_no_sample_is_a_mistake():
    with pytest.raises(RecipeError, match=r"no held-out sample to measure on; give data\.held_out"):
        probe().loss([], small_adapter())


def test_the_base_alone_is_an_adapter_that_adds_nothing():
    silent = small_adapter()
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
    asked = probe()
    assert asked.loss(samples(), None).buckets == pytest.approx(asked.loss(samples(), silent).buckets, rel=1e-6)


def test_sdxl_gets_its_sizes_and_pooled_states():
    found = probe(small_xl_unet()).loss(samples(xl=True), small_adapter(xl=True))
    assert found.count == 5
    assert found.mean > 0


def test_a_base_in_half_precision_is_measured_too():
    types = (torch.float32, torch.bfloat16)
    wide, narrow = (probe(small_unet(dtype)).loss(samples(), small_adapter()) for dtype in types)
    assert narrow.mean == pytest.approx(wide.mean, rel=0.05)


def test_learning_lowers_it():
    unet, adapter = freeze_(small_unet()), small_adapter()
    asked = probe(unet)
    before = asked.loss(samples(), adapter).mean
    optimizer = torch.optim.AdamW(adapter.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(0)
    with injected(unet) as injection:
        for _ in range(15):
            encoded = PositionBatches(settings()).at(range(5))
            t = torch.randint(0, 1000, (5,), generator=generator)
            noise = torch.randn(encoded.mean.shape, generator=generator)
            batch = Batch(encoded.mean, encoded.text.states, encoded.control)
            adapter_loss(injection, unet, adapter, batch, t, noise, ALPHAS, "epsilon").backward()
            optimizer.step()
            optimizer.zero_grad()
    assert asked.loss(samples(), adapter).mean < before
