"""What is random in a step follows from the seed and the sample's position alone, and has the right distribution."""

import pytest
import torch
from small_training import PositionBatches, settings

from armature.bases.text import TextStates
from armature.errors import RecipeError
from armature.training.trainer.noise import (
    StepNoise,
    cubic_timesteps,
    drawn_timesteps,
    logit_normal_timesteps,
    uniform_timesteps,
)

MANY = range(4000)
# Four standard errors of a share among 4000 samples are at most this.
NEAR = 0.032


def noise(**changes):
    low = changes.pop("low", 0.0)
    return StepNoise.of(settings(**changes), low=low)


def noised(positions, xl=False, **changes):
    batches = PositionBatches(settings(), xl=xl)
    empty = TextStates(torch.full((1, 5, 8), 7.0), torch.full((1, 8), 9.0) if xl else None)
    return noise(**changes).apply(batches.at(positions), empty)


def parts(one):
    added = (one.added or {}).values()
    return [one.latents, one.text, one.control, one.timesteps, one.noise, *added]


@pytest.mark.parametrize("xl", [False, True])
def test_a_sample_draws_the_same_in_any_batch(xl):
    whole = noised(range(6), xl)
    pieces = [noised(positions, xl) for positions in ([0, 1], [2], [3, 4, 5])]
    for index, part in enumerate(parts(whole)):
        assert torch.equal(part, torch.cat([parts(piece)[index] for piece in pieces]))


def test_other_seeds_positions_and_purposes_draw_other_numbers():
    base = noise().normal([3], "noise", (4, 8, 8))
    assert not torch.equal(base, noise(seed=1).normal([3], "noise", (4, 8, 8)))
    assert not torch.equal(base, noise().normal([4], "noise", (4, 8, 8)))
    assert not torch.equal(base, noise().normal([3], "posterior", (4, 8, 8)))


def test_drawing_touches_no_random_state():
    before = torch.get_rng_state()
    noised(range(3))
    assert torch.equal(before, torch.get_rng_state())


def test_latents_are_drawn_from_the_posterior():
    encoded = PositionBatches(settings()).at([5])
    one = noised([5])
    eps = noise().normal([5], "posterior", (4, 8, 8))
    assert torch.allclose(one.latents, encoded.mean + encoded.std * eps)


def test_noise_is_standard_normal_and_its_offset_is_one_number_a_channel():
    plain = noise(noise_offset=0.0).normal(MANY, "noise", (16,))
    # 64 000 numbers: four standard errors are 0.016 of the mean and 0.011 of the deviation.
    assert plain.mean().item() == pytest.approx(0, abs=0.016)
    assert plain.std().item() == pytest.approx(1, abs=0.011)
    shift = noised([1, 2], noise_offset=0.5).noise - noised([1, 2], noise_offset=0.0).noise
    assert torch.allclose(shift, shift[:, :, :1, :1].expand_as(shift), atol=1e-6)
    assert shift.abs().min() > 0
    assert len(shift[:, :, 0, 0].flatten().unique()) == 8


def test_cubic_timesteps_prefer_the_noisy_half():
    late = (noise(timesteps="cubic").steps(MANY) > 500).float().mean().item()
    assert late == pytest.approx(0.79, abs=NEAR)


@pytest.mark.parametrize("distribution", ["cubic", "uniform", "logit-normal"])
def test_timesteps_keep_to_their_range(distribution):
    steps = noise(timesteps=distribution, timestep_range=(500, 700)).steps(MANY)
    assert steps.min() >= 500
    assert steps.max() <= 699
    upper = {"cubic": 0.79, "uniform": 0.5, "logit-normal": 0.5}[distribution]
    assert (steps > 600).float().mean().item() == pytest.approx(upper, abs=NEAR)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_captions_and_conditions_are_dropped_as_often_as_asked(share):
    one = noise(caption_dropout=share, condition_dropout=share)
    for purpose in ("caption", "condition"):
        assert sum(one.chosen(MANY, purpose, share)) / len(MANY) == pytest.approx(share, abs=NEAR if share % 1 else 0)


def test_the_two_dropouts_are_independent():
    one = noise()
    both = zip(one.chosen(MANY, "caption", 0.5), one.chosen(MANY, "condition", 0.5), strict=True)
    assert sum(a and b for a, b in both) / len(MANY) == pytest.approx(0.25, abs=NEAR)


def test_a_dropped_caption_is_the_empty_one_and_sizes_stay():
    kept, dropped = noised([0, 1], xl=True, caption_dropout=0.0), noised([0, 1], xl=True, caption_dropout=1.0)
    assert (dropped.text == 7).all()
    assert (dropped.added["text_embeds"] == 9).all()
    assert not (kept.added["text_embeds"] == 9).any()
    assert torch.equal(kept.added["time_ids"], dropped.added["time_ids"])


def test_a_dropped_condition_is_the_contracts_lowest_value():
    assert (noised([0, 1], condition_dropout=1.0, low=-1.0).control == -1).all()
    assert (noised([0, 1], condition_dropout=0.0, low=-1.0).control >= 0).all()


def test_one_setting_leaves_the_others_numbers_as_they_are():
    one, other = noised([4], caption_dropout=0.0), noised([4], caption_dropout=1.0, timesteps="uniform")
    assert torch.equal(one.noise, other.noise)
    assert torch.equal(one.latents, other.latents)
    assert torch.equal(one.control, other.control)


def test_half_precision_samples_are_drawn_in_float32():
    batches = PositionBatches(settings())
    encoded = batches.at([0])
    object.__setattr__(encoded, "mean", encoded.mean.half())
    one = noise().apply(encoded, batches.empty)
    assert one.latents.dtype == one.noise.dtype == one.control.dtype == torch.float32


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
