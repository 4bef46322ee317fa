"""The cache: found by content, whole or not there, the same bytes however it was made."""

import errno
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from encoding_parts import FakeSamples, autoencoder, number_of, sd_encoder, sd_pipeline, xl_encoder
from safetensors import safe_open
from safetensors.torch import save_file

from armature.bases.open import open_base
from armature.data.cache.build import prepare
from armature.data.cache.cache import Cache, Store, cache_folders
from armature.data.encoding.encoder import Encoder
from armature.data.settings import CacheSettings
from armature.data.sources.source import Problem
from armature.errors import DatasetError
from armature.files import file_digest


@pytest.fixture(scope="module")
def encoder():
    return sd_encoder()


@pytest.fixture
def settings(tmp_path):
    return CacheSettings(folder=str(tmp_path / "cache"), shard=4)


def files(folder):
    folder = Path(folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def open_cache(samples, encoder, settings):
    """The finished cache of these samples, or None."""
    folders = cache_folders(samples, encoder, settings)
    stores = Store.finished(folders.pictures), Store.finished(folders.controls)
    return None if None in stores else Cache(*stores)


class Stop(Exception):  # noqa: N818 (stands for a kill, which is no error)
    """Raised in the middle, as a kill would."""


class Fragile:
    """An encoder that dies after some pictures."""

    def __init__(self, encoder, lives):
        self._encoder, self.lives = encoder, lives

    def __getattr__(self, name):
        return getattr(self._encoder, name)

    def pictures(self, pixels):
        if self.lives == 0:
            raise Stop
        self.lives -= 1
        return self._encoder.pictures(pixels)


def test_every_sample_and_variant_comes_back_as_it_was_encoded(encoder, settings):
    samples = FakeSamples(coloured=True)
    cache = prepare(samples, encoder, settings.model_copy(update={"variants": 3}))
    assert sorted(np.concatenate(list(cache.training().values()))) == samples.training
    for number, variant in itertools.product(samples.training, range(3)):
        stored = cache.read(cache.entries(np.array([number]), np.array([variant])), np.array([5]))
        sample = samples.load(number, variant)
        mean, std = encoder.pictures(sample.pixels[None])
        assert stored.keys == [sample.key]
        assert stored.positions.tolist() == [5]
        assert (stored.mean - mean).abs().max() < 4e-3
        assert (stored.std - std).abs().max() < 4e-3
        assert (stored.text.states - encoder.texts([sample.caption]).states).abs().max() < 4e-3
        assert torch.equal(stored.control[0], torch.from_numpy(sample.control).permute(2, 0, 1))
        assert stored.time_ids is None


def test_sdxl_keeps_pooled_states_and_sizes(settings):
    encoder, samples = xl_encoder(), FakeSamples(count=2, held_out=1)
    cache = prepare(samples, encoder, settings.model_copy(update={"variants": 2}))
    stored = cache.read(cache.entries(np.array([1]), np.array([1])), np.array([0]))
    assert stored.time_ids.tolist() == [[128, 192, 1, 3, 64, 96]]
    wanted = encoder.texts([samples.load(1).caption])
    assert (stored.text.pooled - wanted.pooled).abs().max() < 4e-3
    assert stored.text.states.shape == (1, 16, 64)


def test_line_maps_take_a_bit_a_pixel(encoder, settings):
    lines, coloured = (
        prepare(FakeSamples(coloured=coloured), encoder, settings).controls.folder for coloured in (False, True)
    )
    sizes = [(folder / "shard-00000.safetensors").stat().st_size for folder in (lines, coloured)]
    # The headers differ by a few bytes.
    assert abs(sizes[1] - sizes[0] - (4 * 64 * 96 * 3 - 4 * 64 * 96 // 8)) < 64


def test_the_keys_are_those_of_the_content(encoder, settings):
    folders = cache_folders(FakeSamples(), encoder, settings)
    assert {folders.pictures.parent, folders.controls.parent} == {Path(settings.folder)}
    others = [
        cache_folders(FakeSamples(version=1), encoder, settings),
        cache_folders(FakeSamples(held_out=3), encoder, settings),
        cache_folders(FakeSamples(), encoder, settings.model_copy(update={"variants": 2})),
    ]
    encoders = [
        cache_folders(FakeSamples(), Encoder(open_base(sd_pipeline(autoencoder(seed=1)))), settings),
        cache_folders(FakeSamples(), Encoder(open_base(sd_pipeline().to(dtype=torch.bfloat16))), settings),
    ]
    maps = cache_folders(FakeSamples(coloured=True), encoder, settings)
    assert len({found.pictures for found in (folders, *others, *encoders)}) == 6
    assert len({found.controls for found in (folders, *others, maps)}) == 5
    # What does not decide a store's content leaves its name alone.
    assert {found.controls for found in encoders} == {folders.controls}
    assert maps.pictures == folders.pictures
    assert cache_folders(FakeSamples(), sd_encoder(), settings) == folders
    elsewhere = cache_folders(FakeSamples(), encoder, settings.model_copy(update={"folder": "elsewhere", "shard": 7}))
    assert (elsewhere.pictures.name, elsewhere.controls.name) == (folders.pictures.name, folders.controls.name)


def test_adapters_of_other_kinds_share_the_pictures(encoder, settings):
    prepare(FakeSamples(), encoder, settings)
    before, samples = files(settings.folder), FakeSamples(coloured=True)
    other = prepare(samples, Fragile(encoder, 0), settings)
    assert before.items() <= files(settings.folder).items()
    for number in samples.training:
        stored = other.read(other.entries(np.array([number]), np.array([0])), np.array([0]))
        sample = samples.load(number)
        assert stored.keys == [sample.key]
        assert torch.equal(stored.control[0], torch.from_numpy(sample.control).permute(2, 0, 1))


def test_other_bases_share_the_maps_which_are_not_made_again(encoder, settings):
    prepare(FakeSamples(), encoder, settings)
    samples, other = FakeSamples(), Encoder(open_base(sd_pipeline(autoencoder(seed=1))))
    cache = prepare(samples, other, settings.model_copy(update={"shard": 3}))
    assert (samples.reads, len(samples.pictures)) == ([], 16)
    stored = cache.read(cache.entries(np.array([14]), np.array([0])), np.array([0]))
    sample = samples.load(14)
    assert torch.equal(stored.control[0, 0], torch.from_numpy(sample.control))
    mean, std = other.pictures(sample.pixels[None])
    assert (stored.mean - mean).abs().max() < 4e-3
    assert (stored.std - std).abs().max() < 4e-3


def test_a_bad_map_leaves_the_picture_to_adapters_of_other_kinds(encoder, settings):
    reports = []
    samples = FakeSamples(unmapped={4, (7, 1)}, bad={10})
    variants = settings.model_copy(update={"variants": 2})
    cache = prepare(samples, encoder, variants, report=lambda *pair: reports.append(pair))
    assert dict(reports) == {
        "sample-0004": Problem("condition", "It has no map."),
        "sample-0007": Problem("condition", "It has no map."),
        "sample-0010": Problem("picture", "It is torn."),
    }
    assert {(f.number, f.variant) for f in cache.failed} == {(4, 0), (4, 1), (7, 1), (10, 0), (10, 1)}
    assert sorted(np.concatenate(list(cache.training().values()))) == [n for n in samples.training if n not in (4, 10)]
    # Of sample 7 the first variant stands for the second.
    numbers = np.array([7, 7])
    first, second = cache.read(cache.entries(numbers, np.array([0, 1])), numbers).mean
    assert torch.equal(first, second)
    other = prepare(FakeSamples(coloured=True, bad={10}), Fragile(encoder, 0), variants)
    assert sorted(np.concatenate(list(other.training().values()))) == [n for n in samples.training if n != 10]


def test_a_finished_cache_is_found_and_nothing_is_encoded_again(encoder, settings):
    assert open_cache(FakeSamples(), encoder, settings) is None
    samples = FakeSamples()
    prepare(samples, encoder, settings)
    before, reads = files(settings.folder), len(samples.reads)
    prepare(samples, Fragile(encoder, 0), settings.model_copy(update={"shard": 3}))
    assert len(samples.reads) == reads
    assert files(settings.folder) == before
    assert open_cache(samples, encoder, settings).variants == 1


@pytest.mark.parametrize(("lives", "missing"), [(0, 16), (1, 12), (3, 7)])
def test_after_a_kill_only_what_is_missing_is_encoded_and_the_bytes_are_the_same(
    encoder, settings, tmp_path, lives, missing
):
    whole = settings.model_copy(update={"folder": str(tmp_path / "whole")})
    prepare(FakeSamples(), encoder, whole)
    with pytest.raises(Stop):
        prepare(FakeSamples(), Fragile(encoder, lives), settings)
    assert open_cache(FakeSamples(), encoder, settings) is None
    samples = FakeSamples()
    prepare(samples, encoder, settings)
    # The shards hold 4, 1, 4, 3 and 4 samples; the autoencoder takes each at once.
    assert len(samples.reads) == missing
    assert files(settings.folder) == files(whole.folder)


def test_two_processes_write_what_one_writes(encoder, settings, tmp_path):
    alone = settings.model_copy(update={"folder": str(tmp_path / "alone")})
    prepare(FakeSamples(bad={7}), encoder, alone)

    # The second process runs to its first barrier while the first one waits at its own.
    class Waiting(Exception):  # noqa: N818
        pass

    def stop():
        raise Waiting

    samples = FakeSamples(bad={7}), FakeSamples(bad={7})
    with pytest.raises(Waiting):
        prepare(samples[1], sd_encoder(), settings, rank=1, world=2, barrier=stop)
    calls = []
    prepare(samples[0], encoder, settings, rank=0, world=2, barrier=lambda: calls.append(1))
    assert calls == [1, 1]
    assert not set(samples[0].reads) & set(samples[1].reads)
    assert files(settings.folder) == files(alone.folder)


def test_a_process_that_writes_elsewhere_is_told(encoder, settings):
    with pytest.raises(DatasetError, match="lacks shard-00001, which another process was to write"):
        prepare(FakeSamples(), encoder, settings, rank=0, world=2)
    with pytest.raises(DatasetError, match="give one that the machines share"):
        prepare(FakeSamples(version=1), encoder, settings, rank=1, world=2)


def test_a_bad_sample_is_left_out_reported_and_nobody_else_is_changed(encoder, settings, tmp_path):
    good = prepare(FakeSamples(), encoder, settings.model_copy(update={"variants": 2}))
    reports = []
    other = settings.model_copy(update={"variants": 2, "folder": str(tmp_path / "bad")})
    samples = FakeSamples(bad={4, 3, (7, 1)})
    cache = prepare(samples, encoder, other, report=lambda *pair: reports.append(pair))
    torn = Problem("picture", "It is torn.")
    assert sorted(reports) == [(samples.key(3), torn), (samples.key(4), torn), (samples.key(7), torn)]
    assert {(f.number, f.variant) for f in cache.failed} == {(4, 0), (4, 1), (3, 0), (7, 1)}
    numbers = np.concatenate(list(cache.training().values()))
    assert sorted(numbers) == [n for n in samples.training if n != 4]
    for number, variant in itertools.product(numbers, range(2)):
        wanted = (number, 0) if number == 7 else (number, variant)
        reads = [
            c.read(c.entries(np.array([n]), np.array([v])), np.array([0]))
            for c, (n, v) in ((cache, (number, variant)), (good, wanted))
        ]
        assert reads[0].keys == reads[1].keys
        assert torch.equal(reads[0].mean, reads[1].mean)
        assert torch.equal(reads[0].control, reads[1].control)


def test_bad_samples_are_reported_again_from_a_finished_cache_and_may_stop_it(encoder, settings):
    def strict(key, problem):
        raise DatasetError(f"{key}: {problem.reason}")

    with pytest.raises(DatasetError, match="sample-0004: It is torn"):
        prepare(FakeSamples(bad={4}), encoder, settings, report=strict)
    prepare(FakeSamples(bad={4}), encoder, settings)
    reports = []
    prepare(FakeSamples(bad={4}), encoder, settings, report=lambda *pair: reports.append(pair))
    assert reports == [("sample-0004", Problem("picture", "It is torn."))]


def test_a_shard_without_any_good_sample_leaves_the_others_alone(encoder, settings):
    samples = FakeSamples(bad={1, 4, 7, 10}, tall_every=100)
    cache = prepare(samples, encoder, settings)
    assert sorted(np.concatenate(list(cache.training().values()))) == [
        n for n in samples.training if n not in samples.bad
    ]


def test_an_unknown_sample_is_told(encoder, settings):
    cache = prepare(FakeSamples(), encoder, settings)
    for number in (0, 4000):
        with pytest.raises(DatasetError, match=f"has no training sample {number}"):
            cache.entries(np.array([1, number]), np.array([0, 0]))


def test_held_out_samples_are_apart_and_fixed(encoder, settings):
    samples = FakeSamples()
    cache = prepare(samples, encoder, settings.model_copy(update={"variants": 3}))
    keys, places = [], []
    for entries in cache.held_out().values():
        keys += cache.read(entries, entries).keys
        places += cache.places(entries).tolist()
    assert [samples.held_out[place] for place in places] == [number_of(key) for key in keys]
    assert sorted(places) == [0, 1, 2, 3]
    assert not set(samples.held_out) & set(np.concatenate(list(cache.training().values())).tolist())


def test_progress_counts_all_samples(encoder, settings):
    told = []
    with pytest.raises(Stop):
        prepare(FakeSamples(bad={4}), Fragile(encoder, 2), settings)
    prepare(FakeSamples(bad={4}), encoder, settings, progress=lambda *pair: told.append(pair))
    assert told[-1] == (16, 16)
    assert told == sorted(told)


def test_no_samples_are_told(encoder, settings):
    with pytest.raises(DatasetError, match="fake data has no samples"):
        prepare(FakeSamples(count=0, held_out=0), encoder, settings)


@pytest.mark.parametrize("store", ["pictures", "controls"])
def test_a_truncated_shard_is_named_and_made_again(encoder, settings, store):
    cache = prepare(FakeSamples(), encoder, settings)
    before, shard = files(settings.folder), getattr(cache, store).folder / "shard-00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(DatasetError, match=r"shard-00001.safetensors, a file of a cache, is damaged: it has \d+ bytes"):
        open_cache(FakeSamples(), encoder, settings)
    with pytest.raises(DatasetError, match="Delete this file and prepare the cache again"):
        cache.read(cache.entries(np.array([14]), np.array([0])), np.array([0]))
    samples = FakeSamples()
    prepare(samples, encoder, settings)
    assert (samples.pictures, samples.reads) == (([(14, 0)], []) if store == "pictures" else ([], [(14, 0)]))
    assert files(settings.folder) == before


def test_a_flipped_bit_is_found_when_its_row_is_read(encoder, settings):
    cache = prepare(FakeSamples(tall_every=100), encoder, settings)
    shard = cache.pictures.folder / "shard-00000.safetensors"
    content = bytearray(shard.read_bytes())
    wanted = cache.read(cache.entries(np.array([1]), np.array([0])), np.array([0])).mean.numpy().tobytes()
    content[content.index(wanted) + 100] ^= 1
    shard.write_bytes(content)
    again = open_cache(FakeSamples(tall_every=100), encoder, settings)
    again.read(again.entries(np.array([2]), np.array([0])), np.array([0]))
    with pytest.raises(DatasetError, match=r"shard-00000.safetensors.* is damaged: row 0 does not have the checksum"):
        again.read(again.entries(np.array([1]), np.array([0])), np.array([0]))
    with pytest.raises(DatasetError, match=r"shard-00000.safetensors.* its checksum is not the one"):
        again.verify()
    shard.unlink()
    prepare(FakeSamples(tall_every=100), encoder, settings).verify()


def test_garbage_of_the_right_size_is_named(encoder, settings):
    cache = prepare(FakeSamples(), encoder, settings)
    for name in ("shard-00000.safetensors", "index.safetensors"):
        path = cache.pictures.folder / name
        path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(DatasetError, match=r"index.safetensors, a file of a cache, is damaged"):
        open_cache(FakeSamples(), encoder, settings)
    with pytest.raises(DatasetError, match=r"shard-00000.safetensors, a file of a cache, is damaged"):
        cache.read(np.array([0]), np.array([0]))


@pytest.mark.parametrize("content", ["{}", "[", '{"version": 1, "shards": 3}'])
def test_a_broken_manifest_is_named_and_made_again(encoder, settings, content):
    cache = prepare(FakeSamples(), encoder, settings)
    before = files(settings.folder)
    (cache.controls.folder / "manifest.json").write_text(content)
    with pytest.raises(DatasetError, match=r"manifest.json is no manifest of a cache .* prepare the cache again"):
        open_cache(FakeSamples(), encoder, settings)
    prepare(FakeSamples(), Fragile(encoder, 0), settings)
    assert files(settings.folder) == before


@pytest.mark.parametrize(
    "victim", ["shard-00001.safetensors", "shard-00001.json", "index.safetensors", "manifest.json"]
)
def test_a_full_disk_names_the_file_and_leaves_no_half(encoder, settings, monkeypatch, victim):
    sync = __import__("os").fsync

    def full(descriptor):
        if victim in Path(f"/proc/self/fd/{descriptor}").resolve().name:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("armature.files.os.fsync", full)
        with pytest.raises(DatasetError, match=rf"{victim} cannot be written \(.*No space left on device\).*goes on"):
            prepare(FakeSamples(), encoder, settings)
    left = files(settings.folder)
    assert [name for name in left if name.endswith(victim) and "pictures" in name] == []
    assert not [name for name in left if name.endswith(".tmp")]
    assert open_cache(FakeSamples(), encoder, settings) is None
    prepare(FakeSamples(), encoder, settings).verify()


def test_values_that_overflow_half_precision_are_told(encoder, settings):
    class Loud(Fragile):
        def pictures(self, pixels):
            mean, std = self._encoder.pictures(pixels)
            mean[-1] *= 1e6
            return mean, std

    with pytest.raises(DatasetError, match=r"The autoencoder answers 'sample-\d+' with values that are infinite"):
        prepare(FakeSamples(), Loud(encoder, 9), settings)


def test_what_a_killed_preparation_left_half_written_is_removed_by_the_next(encoder, settings):
    samples = FakeSamples()
    folders = cache_folders(samples, encoder, settings)
    script = (
        "import os, sys; from pathlib import Path; from armature.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as path: path.write_text('half'); os._exit(9)"
    )
    for folder in (folders.pictures, folders.controls):
        folder.mkdir(parents=True)
        subprocess.run([sys.executable, "-c", script, str(folder / "shard-00000.safetensors")], check=False)
        assert [path.suffix for path in folder.iterdir()] == [".tmp"]
    prepare(samples, encoder, settings)
    assert not [name for name in files(settings.folder) if name.endswith(".tmp")]


def test_another_process_that_is_killed_is_told_and_what_is_done_stays(encoder, settings):
    def killed():
        raise RuntimeError("Connection closed by peer [127.0.0.1]:4711\nmore lines")

    with pytest.raises(DatasetError, match=r"Another process .* has ended \(Connection closed .*4711\)\. What is"):
        prepare(FakeSamples(), encoder, settings, barrier=killed)
    samples = FakeSamples()
    prepare(samples, Fragile(encoder, 0), settings)
    assert samples.reads == []


def tampered(folder, name, change, fit=True):
    """Change the tensors of a store's file; fit: and what the manifest says of its size and checksum."""
    path = folder / name
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    save_file({key: tensor.contiguous() for key, tensor in change(tensors).items()}, path, metadata)
    manifest = json.loads((folder / "manifest.json").read_text())
    for written in (manifest["index"], manifest["empty"], *(shard["written"] for shard in manifest["shards"])):
        if fit and written is not None and written["file"] == name:
            written["size"], written["checksum"] = path.stat().st_size, file_digest(path)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: {**t, "shard": t["shard"] + 100}, "it names rows that are not there"),
        (lambda t: {**t, "row": t["row"] - 1}, "it names rows that are not there"),
        (lambda t: {**t, "variant": t["variant"] + 1}, "it names rows that are not there"),
        (lambda t: {**t, "number": t["number"].double()}, "it has not the five columns"),
        (lambda t: {**t, "place": t["place"][1:]}, "it has not the five columns"),
        (lambda t: {"number": t["number"]}, "it has not the five columns"),
    ],
)
def test_an_index_of_rows_that_are_not_there_is_told_and_made_again(encoder, settings, change, told):
    folder = prepare(FakeSamples(), encoder, settings).pictures.folder
    tampered(folder, "index.safetensors", change)
    with pytest.raises(DatasetError, match=f"index.safetensors, a file of a cache, is damaged: {told}"):
        open_cache(FakeSamples(), encoder, settings)
    prepare(FakeSamples(), encoder, settings).verify()


def test_an_index_with_other_numbers_than_were_written_is_told(encoder, settings):
    folder = prepare(FakeSamples(), encoder, settings).pictures.folder
    tampered(folder, "index.safetensors", lambda t: {**t, "place": t["place"].flip(0)}, fit=False)
    with pytest.raises(DatasetError, match="its checksum is not the one that was written"):
        open_cache(FakeSamples(), encoder, settings)


@pytest.mark.parametrize(
    ("store", "change", "told"),
    [
        ("pictures", lambda t: {k: v for k, v in t.items() if k != "moments"}, "it has no moments"),
        ("pictures", lambda t: {**t, "moments": t["moments"].float()}, "its moments is torch.float32 of shape"),
        ("pictures", lambda t: {**t, "row_sums": t["row_sums"][1:]}, "its row_sums is torch.int64 of shape"),
        ("pictures", lambda t: {**t, "text": t["text"][0]}, "its text is torch.float16 of shape"),
        ("controls", lambda t: {k: v for k, v in t.items() if k != "control_bits"}, "it has no control_bits"),
        ("controls", lambda t: {**t, "control_bits": t["control_bits"].short()}, "its control_bits is torch.int16"),
        ("controls", lambda t: {**t, "control_bits": t["control_bits"][..., 1:]}, "its control_bits is torch.uint8 of"),
    ],
)
def test_a_shard_that_holds_other_things_is_told_when_it_is_opened(encoder, settings, store, change, told):
    cache = prepare(FakeSamples(tall_every=100), encoder, settings)
    tampered(getattr(cache, store).folder, "shard-00000.safetensors", change)
    again = open_cache(FakeSamples(tall_every=100), encoder, settings)
    with pytest.raises(DatasetError, match=f"shard-00000.safetensors, a file of a cache, is damaged: {told}"):
        again.read(again.entries(np.array([1]), np.array([0])), np.array([0]))


@pytest.mark.parametrize(
    "change",
    [
        {"variants": "many"},
        {"variants": 0},
        {"version": None},
        {"holds": "everything"},
        {"index": {"file": "../../secret", "size": 1, "checksum": ""}},
        {"index": {"file": "index.safetensors", "size": -1, "checksum": ""}},
        {"shards": [{"written": None, "split": "training", "bucket": [0, 8], "plan": "", "rows": 0, "truncated": 0}]},
        {"shards": {}},
    ],
    ids=str,
)
def test_a_manifest_with_absurd_values_is_named_and_made_again(encoder, settings, change):
    folder = prepare(FakeSamples(), encoder, settings).pictures.folder
    values = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**values, **change}))
    with pytest.raises(DatasetError, match=r"manifest.json is no manifest of a cache"):
        open_cache(FakeSamples(), encoder, settings)
    prepare(FakeSamples(), encoder, settings).verify()
