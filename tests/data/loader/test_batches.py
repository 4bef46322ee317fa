"""Batches: the same from a cache and encoded on the way, at any start, cut between any processes."""

import itertools
import threading
from dataclasses import replace

import pytest
import torch
from encoding_parts import FakeSamples, batches, contract, number_of, same, sd_encoder, xl_encoder

from armature.data.cache.build import prepare
from armature.data.settings import CacheSettings
from armature.errors import DatasetError

# float16 keeps eleven bits: what is near 4 may be off by a thousandth.
HALF = 4e-3
COUNT = 22


@pytest.fixture(scope="module")
def encoders():
    return {"sd": sd_encoder(), "sdxl": xl_encoder()}


@pytest.fixture(scope="module")
def caches(encoders, tmp_path_factory):
    settings = CacheSettings(folder=str(tmp_path_factory.mktemp("cache")), shard=8, variants=2)
    return {name: prepare(FakeSamples(COUNT), encoder, settings) for name, encoder in encoders.items()}


def take(loader, count, start=0):
    found = list(itertools.islice(loader.stream(start), count))
    loader.close()
    return found


def joined(loader):
    return (
        [key for b in loader for key in b.keys],
        torch.cat([b.positions for b in loader]).tolist(),
        torch.cat([b.mean for b in loader]),
        torch.cat([b.control for b in loader]),
    )


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_cached_batches_equal_online_ones(caches, encoders, family):
    cached = batches(caches[family], contract(), batch=4, seed=2)
    online = batches(FakeSamples(COUNT), contract(), encoder=encoders[family], batch=4, seed=2, variants=2)
    assert cached.steps_per_epoch() == online.steps_per_epoch() == 14 // 4 + 8 // 4
    for one, other in zip(take(cached, 12), take(online, 12), strict=True):
        assert same(one, other, HALF)
        assert one.mean.dtype == one.text.states.dtype == torch.float32
        assert (one.time_ids is None) is (family == "sd")
    for one, other in zip(cached.held_out(), online.held_out(), strict=True):
        assert same(one, other, HALF)
    assert (cached.empty.states - online.empty.states).abs().max() < HALF
    assert (cached.empty.pooled is None) is (family == "sd")


def test_the_control_is_in_the_contracts_form(encoders, tmp_path):
    samples = FakeSamples(6, held_out=0, coloured=True)
    cache = prepare(samples, encoders["sd"], CacheSettings(folder=str(tmp_path)))
    shifted = replace(contract("openpose", 3), order="BGR", range=(-1.0, 1.0))
    batch = next(batches(cache, shifted, batch=2).stream(0))
    wanted = torch.from_numpy(samples.load(number_of(batch.keys[0])).control).permute(2, 0, 1).flip(0)
    assert torch.allclose(batch.control[0], wanted.float() / 255 * 2 - 1, atol=1e-6)
    with pytest.raises(DatasetError, match="have 3 channels and the sketch adapter takes 1; prepare the cache again"):
        next(batches(cache, contract(), batch=2).stream(0))


def test_grey_maps_fill_the_channels_of_the_contract(caches):
    one = take(batches(caches["sd"], contract(), batch=2), 1)[0].control
    three = take(batches(caches["sd"], contract("depth", 3), batch=2), 1)[0].control
    assert one.shape[1] == 1
    assert set(one.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(three, one.repeat(1, 3, 1, 1))


@pytest.mark.parametrize("start", [1, 4, 5, 7])
def test_a_later_start_is_where_the_stream_from_0_would_be(caches, encoders, start):
    sources = [
        lambda: batches(caches["sd"], contract(), batch=2, accumulate=2, seed=5),
        lambda: batches(FakeSamples(COUNT), contract(), encoder=encoders["sd"], batch=2, accumulate=2, seed=5),
    ]
    for source in sources:
        assert source().steps_per_epoch() == 5
        whole = take(source(), 2 * start + 6)
        for one, other in zip(take(source(), 6, start), whole[2 * start :], strict=True):
            assert same(one, other)


def test_two_processes_read_together_what_one_reads(caches):
    whole = take(batches(caches["sd"], contract(), batch=4), 8)
    ranks = [take(batches(caches["sd"], contract(), batch=2, rank=r, world=2), 8) for r in range(2)]
    passes = take(batches(caches["sd"], contract(), batch=2, accumulate=2), 16)
    for step, batch in enumerate(whole):
        for parts in ([ranks[0][step], ranks[1][step]], passes[2 * step : 2 * step + 2]):
            for wanted, found in zip(joined([batch]), joined(parts), strict=True):
                assert torch.equal(wanted, found) if isinstance(wanted, torch.Tensor) else wanted == found


@pytest.mark.parametrize("kind", ["cached", "online"])
def test_the_number_of_threads_changes_nothing_and_close_ends_them(caches, encoders, kind):
    def source(workers):
        data = caches["sd"] if kind == "cached" else FakeSamples(COUNT)
        return batches(data, contract(), encoder=encoders["sd"], batch=2, seed=1, workers=workers)

    inline = take(source(0), 10)
    for workers in (1, 4):
        loader = source(workers)
        stream = loader.stream(0)
        for wanted in inline:
            assert same(next(stream), wanted)
        assert [t for t in threading.enumerate() if t.name.startswith("armature-prefetch")]
        loader.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("armature-prefetch")]
        assert list(stream) == []


def test_held_out_samples_come_in_a_fixed_order_in_batches_of_one_bucket(caches):
    loader = [batches(caches["sd"], contract(), batch=3, rank=r, world=2, seed=r) for r in range(2)]
    found = [list(b.held_out()) for b in loader]
    assert all(same(one, other) for one, other in zip(*found, strict=True))
    assert [len(b.keys) for b in found[0]] == [3, 1]
    samples = FakeSamples(COUNT)
    for batch in found[0]:
        assert [samples.held_out[p] for p in batch.positions.tolist()] == [number_of(key) for key in batch.keys]


def test_thirty_pictures_fill_a_step_of_sixty_four(encoders, tmp_path):
    samples = FakeSamples(30, held_out=0, tall_every=100)
    cache = prepare(samples, encoders["sd"], CacheSettings(folder=str(tmp_path)))
    loader = batches(cache, contract(), batch=8, accumulate=8)
    assert loader.steps_per_epoch() == 1
    assert "has 30 samples and a step takes 64" in loader.notes[0]
    keys = joined(take(loader, 8))[0]
    assert {keys.count(key) for key in keys} == {2, 3}
    assert len(set(keys)) == 30


def test_online_a_bad_sample_is_replaced_by_another_of_its_bucket_and_reported_once(encoders):
    def source(bad, **options):
        return batches(FakeSamples(COUNT, bad=bad), contract(), encoder=encoders["sd"], batch=2, **options)

    reports = []
    good = take(source(()), 22)
    bad = take(source({4, 3}, report=lambda key, problem: reports.append(key)), 22)
    assert reports == ["sample-0004"]
    pairs = [pair for one, other in zip(good, bad, strict=True) for pair in zip(one.keys, other.keys, strict=True)]
    assert {old for old, new in pairs if old != new} == {"sample-0004"}
    assert "sample-0004" not in {new for _, new in pairs}
    again = take(source({4, 3}), 15, start=7)
    assert all(same(one, other) for one, other in zip(again, bad[7:], strict=True))


def test_online_a_bad_held_out_sample_is_left_out(encoders):
    samples = FakeSamples(COUNT, bad={3})
    loader = batches(samples, contract(), encoder=encoders["sd"], batch=3)
    found = list(loader.held_out())
    assert [p for b in found for p in b.positions.tolist()] == [0, 2, 3]
    assert [len(b.keys) for b in found] == [3]


def test_online_makes_new_framings_each_epoch_unless_told_how_many(encoders):
    samples = FakeSamples(4, held_out=0, tall_every=100)
    take(batches(samples, contract(), encoder=encoders["sd"], batch=4, workers=0), 3)
    assert len(set(samples.reads)) == 12
    samples.reads.clear()
    take(batches(samples, contract(), encoder=encoders["sd"], batch=4, workers=0, variants=1), 3)
    assert set(samples.reads) == {(n, 0) for n in range(4)}


def test_online_repeated_captions_are_encoded_once(encoders):
    class Counting:
        asked = []  # noqa: RUF012

        def __getattr__(self, name):
            return getattr(encoders["sd"], name)

        def texts(self, captions):
            self.asked.extend(captions)
            return encoders["sd"].texts(captions)

    take(batches(FakeSamples(COUNT), contract(), encoder=Counting(), batch=4), 10)
    assert sorted(Counting.asked) == sorted(set(Counting.asked))


def test_online_data_without_a_good_sample_stops(encoders):
    samples = FakeSamples(6, held_out=0, bad=set(range(6)))
    loader = batches(samples, contract(), encoder=encoders["sd"], batch=2)
    with pytest.raises(DatasetError, match=r"32 samples in a row of bucket \d+ x \d+ are bad; the last: .*It is torn"):
        next(loader.stream(0))
    assert not [t for t in threading.enumerate() if t.name.startswith("armature-prefetch")]
