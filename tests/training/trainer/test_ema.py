"""The average is the one its formula gives, and looking at it changes nothing."""

import pytest
import torch
from torch import nn

from armature.training.trainer.ema import Ema, decay_at


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
