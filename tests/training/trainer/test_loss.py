"""Targets and weights satisfy the identities that define them."""

import pytest
import torch

from armature.bases.schedule import noised, target
from armature.errors import RecipeError
from armature.training.trainer.loss import mean_squared_error, min_snr_weight

ALPHAS = torch.tensor([0.99, 0.5, 0.02])


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 4, 8, 8, generator=generator), torch.randn(3, 4, 8, 8, generator=generator)


def test_the_true_v_gives_back_the_clean_latent(pair):
    x0, e = pair
    a = ALPHAS.view(-1, 1, 1, 1)
    xt, v = noised(x0, e, ALPHAS), target("v_prediction", x0, e, ALPHAS)
    assert torch.allclose(a.sqrt() * xt - (1 - a).sqrt() * v, x0, atol=1e-5)
    assert torch.allclose((1 - a).sqrt() * xt + a.sqrt() * v, e, atol=1e-5)


def test_epsilon_is_the_noise_itself(pair):
    assert target("epsilon", *pair, ALPHAS) is pair[1]


def test_min_snr_weights_are_equal_errors_of_the_clean_latent():
    # An error d of x0 is an error d^2 snr of epsilon and d^2 (snr + 1) of v: weighted, both count min(snr, cap) d^2.
    snr = ALPHAS / (1 - ALPHAS)
    assert torch.allclose(min_snr_weight("epsilon", ALPHAS) * snr, snr.clamp(max=5.0))
    assert torch.allclose(min_snr_weight("v_prediction", ALPHAS) * (snr + 1), snr.clamp(max=5.0))


def test_the_error_is_averaged_per_sample_and_weighted(pair):
    x, y = pair
    weight = torch.tensor([1.0, 0.0, 2.0])
    each = (x - y).square().mean((1, 2, 3))
    assert mean_squared_error(x, y, weight).item() == pytest.approx((each * weight).mean().item(), rel=1e-6)


def test_half_precision_errors_are_summed_in_float32():
    ones = torch.full((1, 4, 8, 8), 300.0, dtype=torch.float16)
    assert mean_squared_error(ones, -ones).item() == pytest.approx(360_000.0)


@pytest.mark.parametrize(
    "function", [lambda: target("flow", ALPHAS, ALPHAS, ALPHAS), lambda: min_snr_weight("x", ALPHAS)]
)
def test_unknown_predictions_are_refused(function):
    with pytest.raises(RecipeError, match=r"The base predicts '(flow|x)'"):
        function()
