"""Optimizer, learning rate and averaged weights do what their formulas say, and their state survives."""

import sys

import pytest
import torch
from small_training import settings, small_adapter
from torch import nn

from armature.errors import CheckpointError, RecipeError
from armature.training.checkpoint.state import OptimizerState
from armature.training.trainer.optim import (
    Ema,
    build_optimizer,
    decay_at,
    learning_rate,
    load_optimizer_state,
    optimizer_state,
    set_rate,
)


def stepped(adapter, optimizer, seed):
    torch.manual_seed(seed)
    for parameter in adapter.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


def test_only_weights_decay():
    adapter = small_adapter()
    groups = build_optimizer(adapter, settings(weight_decay=0.5)).param_groups
    decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    for name, parameter in adapter.named_parameters():
        assert decay[id(parameter)] == (0.0 if name.endswith("bias") else 0.5)


def test_rate_and_betas_are_the_recipes():
    optimizer = build_optimizer(small_adapter(), settings(betas=(0.8, 0.9)))
    set_rate(optimizer, 0.125)
    assert all(group["betas"] == (0.8, 0.9) and group["lr"] == 0.125 for group in optimizer.param_groups)


@pytest.mark.parametrize("kind", ["adamw", "adamw8bit"])
def test_a_loaded_state_goes_on_bit_for_bit_in_any_layout(kind):
    one, other = small_adapter().to(memory_format=torch.channels_last), small_adapter(seed=2)
    other.to(memory_format=torch.channels_last)
    optimizers = [build_optimizer(adapter, settings(optimizer=kind)) for adapter in (one, other)]
    stepped(one, optimizers[0], 0)
    other.load_state_dict(one.state_dict())
    state = optimizer_state(optimizers[0], one)
    plain = OptimizerState({name: t.contiguous().clone() for name, t in state.tensors.items()}, state.scalars)
    load_optimizer_state(optimizers[1], other, plain)
    for adapter, optimizer in zip((one, other), optimizers, strict=True):
        stepped(adapter, optimizer, 1)
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b), name
    for adapter, optimizer in zip((one, other), optimizers, strict=True):
        moment = optimizer.state[adapter.conv_in.weight]["exp_avg" if kind == "adamw" else "state1"]
        assert moment.stride() == adapter.conv_in.weight.stride()


def test_the_state_of_another_adapter_is_refused():
    adapter = small_adapter()
    state = OptimizerState({"body.99.weight/exp_avg": torch.zeros(1)}, {})
    with pytest.raises(CheckpointError, match=r"The saved optimizer knows 'body.99.weight', which this adapter lacks"):
        load_optimizer_state(build_optimizer(adapter, settings()), adapter, state)


def test_eight_bit_adamw_keeps_the_moments_of_large_parameters_in_a_byte_each():
    adapter = small_adapter()
    optimizer = build_optimizer(adapter, settings(optimizer="adamw8bit"))
    stepped(adapter, optimizer, 0)
    kinds = {p.numel() >= 4096: optimizer.state[p]["state1"].dtype for p in adapter.parameters()}
    assert kinds == {True: torch.uint8, False: torch.float32}


def test_eight_bit_adamw_without_kernels_for_the_device_is_refused(monkeypatch):
    def no_kernel(self):
        raise NotImplementedError("no kernel found for this device")

    monkeypatch.setattr("bitsandbytes.optim.AdamW8bit.step", no_kernel)
    with pytest.raises(RecipeError, match=r"bitsandbytes [\d.]+ cannot do on cpu \(no kernel found.*; take 'adamw'"):
        build_optimizer(small_adapter(), settings(optimizer="adamw8bit"))


def test_eight_bit_adamw_needs_bitsandbytes(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(
        RecipeError, match=r"needs bitsandbytes; install it \(pip install bitsandbytes\), or take 'adamw'"
    ):
        build_optimizer(small_adapter(), settings(optimizer="adamw8bit"))


@pytest.mark.parametrize(
    ("schedule", "start", "middle", "end"),
    [("constant", 1, 1, 1), ("cosine", 1, 0.51, 0.02), ("linear", 1, 0.5, 0)],
)
def test_the_rate_falls_as_its_schedule_says(schedule, start, middle, end):
    rates = [learning_rate(0.5, schedule, 0, 100, progress) for progress in (0.0, 0.5, 1.0)]
    assert rates == pytest.approx([0.5 * start, 0.5 * middle, 0.5 * end])


def test_warm_up_rises_to_the_peak_and_no_step_has_rate_zero():
    rates = [learning_rate(1.0, "constant", 4, step, 0.0) for step in range(6)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_the_decay_warms_up():
    assert decay_at(0.999, 1) == pytest.approx(2 / 11)
    assert decay_at(0.999, 90) == pytest.approx(91 / 100)
    assert decay_at(0.5, 1000) == 0.5


def test_the_average_follows_its_formula():
    weights = [torch.tensor([float(value), -value]) for value in (1, 3, 2, 8)]
    parameter = nn.Parameter(weights[0].clone())
    ema, expected = Ema([parameter], 0.6), weights[0]
    for step, value in enumerate(weights[1:], 1):
        parameter.data.copy_(value)
        ema.update(step)
        d = min(0.6, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * value
    assert torch.allclose(ema.average[0], expected)


def test_a_swap_shows_the_average_and_gives_the_weights_back_even_after_an_error():
    parameter = nn.Parameter(torch.tensor([1.0]))
    ema = Ema([parameter], 0.9)
    parameter.data.fill_(5.0)

    def look():
        with ema.swapped():
            assert (parameter.item(), ema.average[0].item()) == (1.0, 5.0)
            raise ValueError("of the one who looks")

    with pytest.raises(ValueError, match="of the one who looks"):
        look()
    assert (parameter.item(), ema.average[0].item()) == (5.0, 1.0)


def test_copying_out_leaves_the_average_as_it_is():
    parameter = nn.Parameter(torch.tensor([1.0]))
    ema = Ema([parameter], 0.9)
    parameter.data.fill_(5.0)
    ema.copy_out()
    parameter.data.add_(1.0)
    assert ema.average[0].item() == 1.0
