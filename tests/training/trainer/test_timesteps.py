"""Cubic sampling has the paper's distribution."""

import pytest
import torch

from armature.errors import RecipeError
from armature.training.trainer.timesteps import (
    cubic_timesteps,
    drawn_timesteps,
    logit_normal_timesteps,
    uniform_timesteps,
)


def test_cubic_timesteps_have_the_distribution_of_the_paper():
    t = cubic_timesteps(200_000, generator=torch.Generator().manual_seed(0))
    assert t.dtype == torch.int64
    assert t.min() >= 0
    assert t.max() == 999
    # Three standard errors of 200 000 draws are below 0.003 of the share and below 2 steps of the mean.
    assert (t > 500).float().mean().item() == pytest.approx(0.79, abs=0.006)
    assert t.float().mean().item() == pytest.approx(750, abs=3)


def test_uniform_timesteps_keep_to_their_range():
    t = uniform_timesteps(20_000, low=500, generator=torch.Generator().manual_seed(0))
    assert (t.min(), t.max()) == (500, 999)
    assert t.float().mean().item() == pytest.approx(749.5, abs=4)


def test_a_range_is_filled_with_the_whole_cubic_curve():
    t = cubic_timesteps(20_000, low=500, generator=torch.Generator().manual_seed(0))
    assert (t.min() >= 500, t.max()) == (True, 999)
    assert (t > 750).float().mean().item() == pytest.approx(0.79, abs=0.012)


def test_logit_normal_timesteps_prefer_the_middle_and_are_symmetric():
    t = logit_normal_timesteps(20_000, generator=torch.Generator().manual_seed(0))
    assert (t.min() >= 0, t.max() <= 999) == (True, True)
    # sigmoid(n) lies between a quarter and three quarters where |n| < ln 3: 72.8 % of the time.
    assert ((t >= 250) & (t < 750)).float().mean().item() == pytest.approx(0.728, abs=0.013)
    assert t.float().mean().item() == pytest.approx(499.5, abs=6)


@pytest.mark.parametrize("draw", [cubic_timesteps, uniform_timesteps, logit_normal_timesteps])
@pytest.mark.parametrize(("low", "high"), [(500, 500), (-1, 10), (0, 1001)])
def test_an_impossible_range_is_refused(draw, low, high):
    with pytest.raises(RecipeError, match="expected 0 <= low < high <= 1000"):
        draw(4, low=low, high=high)


def test_a_recipes_range_is_in_thousandths_of_the_schedule():
    t = drawn_timesteps("uniform", (500, 1000), 40, torch.Generator().manual_seed(0), 500)
    assert (t.min(), t.max()) == (20, 39)


def test_an_unknown_distribution_is_refused():
    with pytest.raises(RecipeError, match=r"train\.timesteps is 'even'; expected one of cubic, uniform, logit-normal"):
        drawn_timesteps("even", (0, 1000), 1000, torch.Generator())


def test_counts_must_be_positive():
    with pytest.raises(RecipeError, match="0 timesteps of 1000 were asked for"):
        cubic_timesteps(0)
