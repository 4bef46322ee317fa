"""Cubic sampling has the paper's distribution."""

import pytest
import torch

from armature.errors import RecipeError
from armature.training.timesteps import cubic_timesteps, uniform_timesteps


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


@pytest.mark.parametrize(("low", "high"), [(500, 500), (-1, 10), (0, 1001)])
def test_an_impossible_range_is_refused(low, high):
    with pytest.raises(RecipeError, match="expected 0 <= low < high <= 1000"):
        uniform_timesteps(4, low=low, high=high)


def test_counts_must_be_positive():
    with pytest.raises(RecipeError, match="0 timesteps of 1000 were asked for"):
        cubic_timesteps(0)
