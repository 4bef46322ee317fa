"""The memory estimate against what autograd really keeps."""

import pytest
import torch

from armature.injection.hooks import injected
from armature.training.memory import estimate_memory
from armature.training.recipe.load import load_recipe
from armature.training.setup import set_up


def kept_bytes(setup, batch):
    """What one real forward pass keeps, weights left out."""
    unet, adapter = setup.base.pipeline.unet, setup.adapter
    own = {t.untyped_storage().data_ptr() for m in (unet, adapter) for t in m.state_dict(keep_vars=True).values()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    width = unet.config.cross_attention_dim
    more = {}
    if setup.base.family.key == "sdxl":
        more = {"added_cond_kwargs": {"text_embeds": torch.zeros(batch, 32), "time_ids": torch.zeros(batch, 6)}}
    with injected(unet) as injection, torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        injection.set(adapter(torch.rand(batch, setup.adapter.spec.in_channels, 64, 64)))
        result = unet(torch.randn(batch, 4, 8, 8), torch.zeros(batch).long(), torch.randn(batch, 16, width), **more)
    count = sum(size for size, _ in kept.values())
    del result
    return count


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_activations_are_those_that_autograd_keeps(name, small_recipe, base_folders):
    setup = set_up(load_recipe(small_recipe, [f"base={base_folders[name]}", "batch=3"]), device="cpu")
    estimate = estimate_memory(setup)
    # The CPU's attention keeps its row sums besides what the estimate knows of.
    assert estimate.activations == pytest.approx(kept_bytes(setup, 3), rel=0.05)


def test_weights_are_counted_exactly(small_recipe):
    recipe = load_recipe(small_recipe)
    setup = set_up(recipe, device="cpu")
    estimate = estimate_memory(setup)
    weights = sum(p.numel() for p in setup.adapter.parameters())
    unet = sum(p.numel() for p in setup.base.pipeline.unet.parameters())
    assert (estimate.base, estimate.adapter, estimate.optimizer) == (4 * unet, 8 * weights, 8 * weights)
    averaged = estimate_memory(set_up(load_recipe(recipe, ["ema=0.999", "optimizer=adamw8bit"]), device="cpu"))
    assert (averaged.adapter, averaged.optimizer) == (12 * weights, 2 * weights)
    online = estimate_memory(set_up(load_recipe(recipe, ["cache.enabled=false"]), device="cpu"))
    assert online.base > estimate.base
    parts = (estimate.base, estimate.adapter, estimate.optimizer, estimate.activations)
    assert estimate.total == round(1.1 * sum(parts))


def test_less_is_kept_with_checkpointing_and_smaller_batches(small_recipe):
    def activations(*overrides):
        return estimate_memory(set_up(load_recipe(small_recipe, overrides), device="cpu")).activations

    assert activations("batch=4") == pytest.approx(2 * activations("batch=2"), rel=0.1)
    assert activations("batch=4", "checkpoint_gradients=true") < activations("batch=4")
