"""The order of samples: every step a pure function of the seed."""

import itertools

import numpy as np
import pytest

from armature.data.loader.sampler import BucketBatchSampler, StepLayout, scrambled
from armature.errors import DatasetError, RecipeError

BUCKETS = {(64, 64): np.arange(0, 40), (96, 64): np.arange(100, 125)}


def take(order, count, start=0):
    return list(itertools.islice(order.micro_batches(start), count))


def values(draws):
    return [(d.bucket, d.numbers.tolist(), d.variants.tolist(), d.positions.tolist()) for d in draws]


def test_an_epoch_passes_over_every_bucket_in_whole_steps_of_one_bucket():
    order = BucketBatchSampler(BUCKETS, StepLayout(4), seed=3)
    assert order.steps_per_epoch == 10 + 6
    draws = take(order, 16)
    for draw in draws:
        assert set(draw.numbers) <= set(BUCKETS[draw.bucket])
    seen = np.concatenate([d.numbers for d in draws])
    assert len(np.unique(seen)) == 40 + 24
    assert [d.bucket for d in draws] != sorted(d.bucket for d in draws)
    assert np.concatenate([d.positions for d in draws]).tolist() == list(range(64))


def test_positions_go_on_over_epochs_so_that_no_noise_comes_twice():
    order = BucketBatchSampler(BUCKETS, StepLayout(4), seed=3)
    draws = take(order, 2 * order.steps_per_epoch + 3)
    assert np.concatenate([d.positions for d in draws]).tolist() == list(range(4 * len(draws)))


def test_leftovers_are_other_samples_each_epoch():
    order = BucketBatchSampler({(64, 64): np.arange(11)}, StepLayout(8), seed=0)
    seen = [set(d.numbers.tolist()) for d in take(order, 40)]
    assert len({frozenset(s) for s in seen}) > 20
    assert set.union(*seen) == set(range(11))


@pytest.mark.parametrize("start", [1, 7, 15, 16, 17, 40])
def test_a_later_start_is_where_the_stream_from_0_would_be(start):
    order = BucketBatchSampler(BUCKETS, StepLayout(2, accumulate=2), seed=9, variants=3)
    assert values(take(order, 8, start)) == values(take(order, 8 + 2 * start))[2 * start :]


def test_other_epochs_and_seeds_give_other_orders_and_variants():
    order = BucketBatchSampler(BUCKETS, StepLayout(4), seed=3, variants=5)
    first, second = take(order, 32)[:16], take(order, 32)[16:]
    other = take(BucketBatchSampler(BUCKETS, StepLayout(4), seed=4, variants=5), 16)
    for one, two in itertools.combinations((first, second, other), 2):
        assert [d.numbers.tolist() for d in one] != [d.numbers.tolist() for d in two]
    variant = {n: v for d in first for n, v in zip(d.numbers.tolist(), d.variants.tolist(), strict=True)}
    later = {n: v for d in second for n, v in zip(d.numbers.tolist(), d.variants.tolist(), strict=True)}
    assert set(variant.values()) == set(range(5))
    assert any(variant[n] != later[n] for n in variant.keys() & later.keys())


@pytest.mark.parametrize("cut", [{"world": 2}, {"accumulate": 2}])
def test_processes_and_passes_share_out_the_same_samples(cut):
    whole = take(BucketBatchSampler(BUCKETS, StepLayout(4), seed=1, variants=4), 20)
    parts = [
        take(
            BucketBatchSampler(BUCKETS, StepLayout(2, rank=rank, **cut), seed=1, variants=4),
            20 * cut.get("accumulate", 1),
        )
        for rank in range(cut.get("world", 1))
    ]
    slices = [d for step in zip(*parts, strict=True) for d in step]
    for step, draw in enumerate(whole):
        pair = slices[2 * step : 2 * step + 2]
        for name in ("numbers", "variants", "positions"):
            assert np.concatenate([getattr(d, name) for d in pair]).tolist() == getattr(draw, name).tolist()
        assert {d.bucket for d in pair} == {draw.bucket}


def test_a_bucket_smaller_than_a_step_repeats_its_samples_and_says_so():
    order = BucketBatchSampler(
        {(64, 64): np.arange(30), (96, 64): np.arange(50, 178)}, StepLayout(8, accumulate=8), seed=0
    )
    assert order.steps_per_epoch == 1 + 2
    assert order.notes == (
        "Bucket 64 x 64 has 30 samples and a step takes 64: they are repeated to fill one step an epoch. "
        "A smaller batch or accumulation, or a larger bucket_step, avoids this.",
    )
    small = [d.numbers for d in take(order, 24) if d.bucket == (64, 64)]
    counts = np.bincount(np.concatenate(small))
    assert set(counts) == {2, 3}


def test_the_order_in_which_samples_were_listed_means_nothing():
    listed = {size: numbers[::-1] for size, numbers in reversed(BUCKETS.items())}
    assert values(take(BucketBatchSampler(listed, StepLayout(4), seed=3), 20)) == values(
        take(BucketBatchSampler(BUCKETS, StepLayout(4), seed=3), 20)
    )


def test_a_sample_less_moves_no_other_samples_variant():
    fewer = {**BUCKETS, (64, 64): np.delete(BUCKETS[(64, 64)], 5)}
    pairs = [
        {
            pair
            for d in take(
                BucketBatchSampler(buckets, StepLayout(1), seed=3, variants=7),
                sum(len(numbers) for numbers in buckets.values()),
            )
            for pair in zip(d.numbers, d.variants, strict=True)
        }
        for buckets in (BUCKETS, fewer)
    ]
    assert pairs[1] == {pair for pair in pairs[0] if pair[0] != 5}


def test_scrambled_bits_are_those_of_splitmix64():
    # Steele et al.'s generator seeded with 0 begins with this number.
    assert int(scrambled(0)[0]) == 0xE220A8397B1DCDAF
    bits = np.unpackbits(scrambled(5, np.arange(4096)).view(np.uint8))
    assert abs(bits.mean() - 0.5) < 0.01
    assert len(np.unique(scrambled(1, 2, np.arange(100_000)))) == 100_000
    assert scrambled(1, 2)[0] != scrambled(2, 1)[0]


def test_nothing_to_learn_from_is_told():
    with pytest.raises(DatasetError, match="There is no usable training sample"):
        BucketBatchSampler({(64, 64): np.array([], np.int64)}, StepLayout(1), seed=0)


def test_impossible_cuts_are_refused():
    with pytest.raises(RecipeError, match="batch 4, accumulate 1, process 2 of 2"):
        StepLayout(4, rank=2, world=2)
    with pytest.raises(RecipeError, match="batch 0"):
        StepLayout(0)
