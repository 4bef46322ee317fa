"""Means carry the error that repeating would show."""

import numpy as np
import pytest

from armature.evaluation.figures import gap_figure, mean_figure, share_figure


def test_the_standard_error_is_that_of_the_mean():
    figure = mean_figure([1.0, 2.0, 3.0, 4.0])
    assert (figure.mean, figure.count) == (2.5, 4)
    assert figure.error == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)
    assert mean_figure([2.0]).error == 0
    assert str(mean_figure([0.5, 0.5])) == "0.500 ± 0.000"


def test_shares_have_a_binomial_error():
    assert share_figure(25, 100).error == pytest.approx(np.sqrt(0.25 * 0.75 / 100))
    assert share_figure(0, 0).mean == 0


def test_the_gap_closed_has_the_error_of_its_samples():
    rng = np.random.default_rng(0)

    def drawn(count):
        low, high = 0.3 + 0.05 * rng.normal(size=count), 0.9 + 0.05 * rng.normal(size=count)
        return gap_figure(low, 0.6 + 0.05 * rng.normal(size=count), high)

    repeated = [drawn(40) for _ in range(200)]
    assert np.mean([figure.mean for figure in repeated]) == pytest.approx(0.5, abs=0.01)
    spread = np.std([figure.mean for figure in repeated])
    assert np.mean([figure.error for figure in repeated]) == pytest.approx(spread, rel=0.2)


def test_no_distance_has_no_share():
    assert gap_figure([0.5, 0.5], [0.7, 0.6], [0.5, 0.5]) is None
