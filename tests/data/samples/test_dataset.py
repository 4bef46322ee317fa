"""The whole way: bad samples named and counted, held-out ones apart, all repeatable, the report for a dry run."""

import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from picture_folders import opened, picture, png, write_folder
from PIL import Image

from armature.data.sources.source import BadSampleError
from armature.errors import DatasetError


def bomb():
    """A PNG whose header speaks of 30 000 x 30 000 pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + chunk + png(picture(0))[33:]


def spoil(root, how):
    path = root / "pictures/0001.png"
    if how == "unreadable":
        path.write_bytes(b"no picture at all")
    elif how == "empty file":
        path.write_bytes(b"")
    elif how == "truncated":
        noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
        path.write_bytes(png(noise)[:-4000])
    elif how == "bomb":
        path.write_bytes(bomb())
    elif how == "missing pair":
        os.remove(root / "maps/0001.png")
    elif how == "two maps":
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(root / "maps/0001.webp")
    elif how == "broken map":
        (root / "maps/0001.png").write_bytes(b"no map")
    elif how == "empty caption":
        (root / "pictures/0001.txt").write_text(" \n ")
    elif how == "no caption":
        os.remove(root / "pictures/0001.txt")
    else:
        (root / "pictures/0001.txt").write_bytes(b"caf\xe9")


BAD = {
    "unreadable": ("picture", "cannot be read"),
    "empty file": ("picture", r"it is empty \(0 bytes\)"),
    "truncated": ("picture", "truncated or damaged"),
    "bomb": ("picture", "bomb"),
    "missing pair": ("condition", "It has no map; expected maps/0001.png"),
    "two maps": ("condition", "It has 2 maps"),
    "broken map": ("condition", "Its map: The picture cannot be read"),
    "empty caption": ("caption", "caption is empty"),
    "no caption": ("caption", "expected 0001.txt or 0001.caption"),
    "foreign letters": ("caption", "no UTF-8 text"),
}


@pytest.mark.parametrize("how", BAD)
def test_each_sort_of_bad_sample_is_named_counted_and_left_out(how, tmp_path):
    sort, words = BAD[how]
    root = write_folder(tmp_path, 24)
    spoil(tmp_path, how)
    data = opened(root, conditions="../maps")
    samples = []
    for number in data.training:
        try:
            samples.append(data.load(number).key)
        except BadSampleError:
            continue
    assert len(samples) == 23
    assert "0001.png" not in samples
    assert list(data.bad.by_key) == ["0001.png"]
    problem = data.bad.by_key["0001.png"]
    assert problem.sort == sort
    with pytest.raises(DatasetError, match=words):
        raise DatasetError(problem.reason)
    report = data.check()
    assert report.bad_of(sort) == 1
    assert any("0001.png" in line for line in report.lines())


@pytest.mark.parametrize("how", BAD)
def test_strict_stops_at_the_first_bad_sample(how, tmp_path):
    root = write_folder(tmp_path, 24)
    spoil(tmp_path, how)
    with pytest.raises(DatasetError, match=r"data.strict is set, and sample '0001.png'") as caught:
        opened(root, conditions="../maps", strict=True).load(1)
    assert not isinstance(caught.value, BadSampleError)


def test_too_many_bad_samples_stop_with_the_list(tmp_path):
    root = write_folder(tmp_path, 24)
    for number in range(12):
        os.remove(root / f"{number:04d}.txt")
    with pytest.raises(DatasetError, match="12 of 24 samples of folder 'pictures' are bad") as caught:
        opened(root, conditions="../maps")
    text = str(caught.value)
    assert "0000.png: It has no caption" in text
    assert "0010.png" not in text
    assert "and 2 more" in text
    assert len(opened(root, conditions="../maps", bad_share=0.5).training) == 12


def test_too_many_truncated_pictures_stop_while_framing(tmp_path):
    root = write_folder(tmp_path, 24)
    noise = png(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8))[:-4000]
    for number in (2, 5):
        (root / f"{number:04d}.png").write_bytes(noise)
    data = opened(root, kind="color")
    for _ in range(3):  # the same one again is not another one
        with pytest.raises(BadSampleError):
            data.load(2)
    with pytest.raises(DatasetError, match=r"2 of 24 samples .* 0.05 allows") as caught:
        data.load(5)
    assert not isinstance(caught.value, BadSampleError)


def test_no_data_is_told(tmp_path):
    with pytest.raises(DatasetError, match="holds no pictures"):
        opened(tmp_path, kind="color")
    write_folder(tmp_path, 2)
    for number in range(2):
        os.remove(tmp_path / f"pictures/000{number}.txt")
    with pytest.raises(DatasetError, match="no sample that can be used"):
        opened(tmp_path / "pictures", kind="color", bad_share=1.0)
    with pytest.raises(DatasetError, match="no folder at"):
        opened(tmp_path / "pictures", conditions="nowhere")


def test_held_out_samples_are_apart_exact_and_stable(tmp_path):
    root = write_folder(tmp_path, 20)
    data = opened(root, kind="color", held_out=5, seed=3)
    assert len(data.held_out) == 5
    assert sorted([*data.training, *data.held_out]) == list(range(20))
    apart = {data.key(number) for number in data.held_out}
    assert apart == {data.key(number) for number in opened(root, kind="color", held_out=5, seed=3).held_out}
    assert apart != {data.key(number) for number in opened(root, kind="color", held_out=5, seed=4).held_out}
    (root / "0000a.png").write_bytes(png(picture(3)))
    (root / "0000a.txt").write_text("one more")
    more = opened(root, kind="color", held_out=5, seed=3)
    assert len(apart & {more.key(number) for number in more.held_out}) >= 4
    with pytest.raises(DatasetError, match="held_out = 21 of 21 usable samples"):
        opened(root, kind="color", held_out=21)


def test_held_out_samples_have_one_frame(tmp_path):
    root = write_folder(tmp_path, 20)
    data = opened(root, kind="color", held_out=8, flip="always", crop="random", extract={"block": (4, 16)})
    for number in data.held_out:
        first, other = data.load(number, 0), data.load(number, 7)
        assert np.array_equal(first.pixels, other.pixels)
        assert np.array_equal(first.control, other.control)
    changed = [
        not np.array_equal(data.load(number, 0).pixels, data.load(number, variant).pixels)
        for number in data.training
        for variant in (1, 2)
    ]
    assert sum(changed) > 5


def test_toyworld_holds_out_scenes_that_training_never_draws():
    data = opened("toyworld", count=30, held_out=6, resolution=128)
    assert list(data.training) == list(range(30))
    assert [data.key(number) for number in data.held_out] == [f"scene {10_000_000 + n}" for n in range(6)]
    assert data.bucket(0) == (128, 128)
    small = opened("toyworld", count=4, resolution=64).load(0)
    assert small.pixels.shape == (64, 64, 3)
    assert set(np.unique(small.control)) <= {0, 255}


def test_count_takes_so_many_usable_samples(tmp_path):
    root = write_folder(tmp_path, 20)
    os.remove(root / "0000.txt")
    data = opened(root, kind="color", count=10, held_out=2, bad_share=0.2)
    assert len(data.training) + len(data.held_out) == 10


def test_every_frame_has_the_size_of_its_bucket(tmp_path):
    data = opened(write_folder(tmp_path, 12), conditions="../maps")
    buckets = set()
    for number in data.training:
        width, height = data.bucket(number)
        sample = data.load(number)
        assert sample.pixels.shape == (height, width, 3)
        assert sample.control.shape == (height, width)
        buckets.add((width, height))
    report = data.check()
    assert {size for size, _ in report.buckets} == buckets
    assert len(buckets) > 1
    assert sum(count for _, count in report.buckets) == report.training == 12


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": 96},
        {"bucket_step": 64},
        {"crop": "centre"},
        {"flip": "always"},
        {"extract": {"detail": 0.4}},
        {"extract": {"detail": (0.4, 0.6)}},
        {"hand_drawn": 0.5},
        {"held_out": 1},
        {"seed": 1},
        {"kind": "canny"},
        {"count": 3},
    ],
)
def test_the_fingerprint_follows_everything_that_changes_frames(change, tmp_path):
    root = write_folder(tmp_path)
    same = opened(root).fingerprint()
    assert opened(root).fingerprint() == same
    assert opened(root, strict=True, bad_share=0.5).fingerprint() == same
    other = opened(root, **change).fingerprint()
    assert other.whole != same.whole
    assert (other.pictures == same.pictures) == (set(change) <= {"extract", "hand_drawn", "kind"})


def test_a_sample_without_its_control_has_the_same_picture_and_needs_no_map(tmp_path):
    data = opened(write_folder(tmp_path), conditions="../maps", flip="always", bad_share=0.5)
    sample, picture = data.load(2, 3), data.load(2, 3, with_control=False)
    assert np.array_equal(picture.pixels, sample.pixels)
    assert (picture.key, picture.caption, picture.corner) == (sample.key, sample.caption, sample.corner)
    (tmp_path / "maps/0002.png").write_bytes(b"no picture")
    assert np.array_equal(data.load(2, 3, with_control=False).pixels, sample.pixels)
    assert not data.bad
    with pytest.raises(BadSampleError, match="Its map"):
        data.load(2, 3)


def test_frames_do_not_depend_on_global_random_state(tmp_path):
    data = opened(write_folder(tmp_path), kind="color", flip="always")
    first = data.load(1, 4)
    np.random.seed(1)
    np.random.random(3)
    assert np.array_equal(data.load(1, 4).pixels, first.pixels)


def test_threads_get_the_frames_that_one_would(tmp_path):
    data = opened(write_folder(tmp_path, 12, maps=False), kind="canny", flip="always")
    alone = [data.load(number, 1) for number in data.training]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda number: data.load(number, 1), data.training))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.control, other.control)
