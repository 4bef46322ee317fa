"""Every layout gives the same samples, and its fingerprint follows content alone."""

import io
import os
import shutil
import tarfile

import numpy as np
import pytest
from picture_folders import (
    caption,
    lines,
    opened,
    picture,
    png,
    settings,
    write_folder,
    write_hf,
    write_imagefolder,
    write_shards,
)
from PIL import Image

from armature.data.sources.formats.toyworld import HELD_OUT, ToyworldSource
from armature.data.sources.open import find_format, open_source
from armature.data.sources.source import BadSampleError
from armature.errors import DatasetError, RecipeError
from armature.toyworld import scene

LAYOUTS = {
    "folder": (write_folder, "../maps"),
    "imagefolder": (write_imagefolder, "map"),
    "webdataset": (write_shards, "canny"),
    "hf": (write_hf, "map"),
}


def in_layout(name, root, count=6):
    write, conditions = LAYOUTS[name]
    return open_source(settings(write(root, count), conditions=conditions), "sketch")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_gives_the_same_samples(layout, tmp_path):
    source = in_layout(layout, tmp_path / "data")
    assert len(source) == 6
    assert len({source.key(number) for number in range(6)}) == 6
    for number in range(6):
        sample = source.read(number)
        assert sample.key == source.key(number)
        assert sample.caption == caption(number)
        assert np.array_equal(sample.picture, picture(number))
        assert np.array_equal(sample.condition, lines(number))
        assert source.size(number) == picture(number).shape[1::-1]
        assert source.problem(number) is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_format_is_found(layout, tmp_path):
    assert find_format(str(LAYOUTS[layout][0](tmp_path / "data"))) == layout


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fingerprints_follow_content_not_place_or_time(layout, tmp_path):
    first = in_layout(layout, tmp_path / "a").fingerprint()
    assert in_layout(layout, tmp_path / "a2").fingerprint() == first
    shutil.move(tmp_path / "a", tmp_path / "b")
    for path in (tmp_path / "b").rglob("*"):
        os.utime(path, (1, 1))
    data = tmp_path / "b" / "pictures" if layout == "folder" else tmp_path / "b"
    moved = open_source(settings(data, conditions=LAYOUTS[layout][1]), "sketch")
    assert moved.fingerprint() == first
    assert in_layout(layout, tmp_path / "c", count=5).fingerprint() != first


@pytest.mark.parametrize("change", ["picture", "caption", "map"])
def test_a_change_of_content_changes_the_fingerprint(change, tmp_path):
    def source():
        return open_source(settings(tmp_path / "pictures", conditions="../maps"), "sketch")

    write_folder(tmp_path)
    before = source().fingerprint()
    if change == "picture":
        (tmp_path / "pictures/0003.png").write_bytes(png(picture(3) ^ 1))
    elif change == "caption":
        (tmp_path / "pictures/0003.txt").write_text("thing number 4")
    else:
        (tmp_path / "maps/0003.png").write_bytes(png(255 - lines(3)))
    after = source().fingerprint()
    assert after.whole != before.whole
    assert (after.pictures == before.pictures) == (change == "map")


def test_folders_are_read_with_their_sub_folders_and_caption_files(tmp_path):
    root = write_folder(tmp_path, nested=True)
    (root / "part0/0000.txt").rename(root / "part0/0000.caption")
    (root / "part0/0002.txt").write_bytes("\ufeffa  wide\n road\n".encode())
    (root / ".hidden").mkdir()
    (root / ".hidden/x.png").write_bytes(png(picture(0)))
    source = open_source(settings(root, conditions=str(tmp_path / "maps")), "sketch")
    keys = [source.key(number) for number in range(len(source))]
    assert keys == [f"part{part}/{number:04d}.png" for part in (0, 1) for number in (part, part + 2, part + 4)]
    assert source.read(0).caption == "thing number 0"
    assert source.read(1).caption == "a wide road"
    assert np.array_equal(source.read(1).condition, lines(2))


def test_maps_inside_the_folder_are_no_samples(tmp_path):
    root = write_folder(tmp_path)
    shutil.move(tmp_path / "maps", root / "maps")
    assert len(open_source(settings(root, conditions="maps"), "sketch")) == 6


def test_shards_are_what_the_webdataset_library_reads(tmp_path):
    import webdataset
    from webdataset.tariterators import group_by_keys, tar_file_expander

    with webdataset.ShardWriter(str(tmp_path / "w-%03d.tar"), maxcount=3, verbose=0) as writer:
        for number in range(6):
            writer.write({"__key__": f"a/{number}", "png": picture(number), "seg.png": lines(number), "txt": "one"})
    source = open_source(settings(tmp_path / "w-{000..001}.tar", conditions="seg.png"), "seg")
    theirs = []
    for shard in sorted(tmp_path.glob("*.tar")):
        with open(shard, "rb") as file:
            theirs += list(group_by_keys(tar_file_expander([{"url": str(shard), "stream": file}])))
    assert [source.key(number) for number in range(6)] == [f"w-00{n // 3}.tar/a/{n}" for n in range(6)]
    for number, sample in enumerate(theirs):
        assert sample["__key__"] == f"a/{number}"
        ours = source.read(number)
        assert np.array_equal(ours.picture, np.asarray(Image.open(io.BytesIO(sample["png"]))))
        assert np.array_equal(ours.condition, np.asarray(Image.open(io.BytesIO(sample["seg.png"]))))
        assert ours.caption == sample["txt"].decode()


def test_a_shard_that_is_cut_off_keeps_what_is_whole(tmp_path):
    write_shards(tmp_path, count=4, shard=4)
    shard = tmp_path / "data-000.tar"
    with tarfile.open(shard) as archive:
        last = archive.getmember("0003.png")
    os.truncate(shard, last.offset_data + 40)
    source = open_source(settings(shard), "sketch")
    keys = [source.key(number) for number in range(len(source))]
    assert keys[:3] == [f"data-000.tar/000{n}" for n in range(3)]
    assert source.read(2).caption == caption(2)
    problems = [source.problem(number) for number in range(3, len(source))]
    assert any(problem is not None for problem in problems)


@pytest.mark.parametrize("address", ["https://a.b/c.tar", "pipe:curl x", "s3://bucket/{0..3}.tar"])
def test_remote_shards_are_refused_with_the_way_out(address):
    with pytest.raises(DatasetError, match="download the shards first"):
        open_source(settings(address), "sketch")


@pytest.mark.parametrize(
    ("source", "words"),
    [("nowhere/at/all", "nothing at"), ("data-{0..1}.tar", "there is no shard"), ("x*.tar", "no .tar shards match")],
)
def test_data_that_is_not_there_is_told(source, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=words):
        open_source(settings(source), "sketch")


def test_hub_ids_that_cannot_be_loaded_are_told(tmp_path, monkeypatch):
    import datasets

    def offline(name):
        raise ConnectionError("the hub cannot be reached")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DatasetError, match=r"someone/somedata' cannot be loaded .*hub cannot be reached"):
        open_source(settings("someone/somedata"), "sketch")


def test_hub_ids_give_the_split_that_is_asked_for(tmp_path, monkeypatch):
    import datasets

    saved = datasets.load_from_disk(str(write_hf(tmp_path / "saved")))
    monkeypatch.setattr(datasets, "load_dataset", lambda name: datasets.DatasetDict({"train": saved}))
    assert open_source(settings("someone/somedata", conditions="map"), "sketch").read(2).caption == caption(2)
    with pytest.raises(DatasetError, match=r"no split 'test' \(data.split\); it has: train"):
        open_source(settings("someone/somedata", split="test"), "sketch")


def test_columns_that_are_not_there_are_told_together(tmp_path):
    write_hf(tmp_path)
    with pytest.raises(
        DatasetError, match=r"image_column = 'photo' and data.conditions = 'edges'; it has: image, text"
    ):
        open_source(settings(tmp_path, image_column="photo", conditions="edges"), "sketch")


def test_metadata_rows_are_checked_one_by_one(tmp_path):
    write_imagefolder(tmp_path, 3)
    with open(tmp_path / "metadata.jsonl", "a") as file:
        file.write('\n{"file_name": "train/0.png", "text": "again"}\nnot json\n{"text": "no file"}\n')
        file.write('{"file_name": "../secret.png", "text": "x"}\n{"file_name": "train/9.png", "text": "x"}\n')
    source = open_source(settings(tmp_path), "sketch")
    assert source.key(3) == "train/0.png#2"
    assert source.read(3).caption == "again"
    reasons = [source.problem(number).reason for number in range(4, 8)]
    assert source.key(4) == "metadata.jsonl:5"
    for reason, words in zip(reasons, ["not JSON", "no file under", "outside the folder", "there is no"], strict=True):
        assert words in reason


def test_toyworld_teaches_poses_on_scenes_with_people_only():
    source = ToyworldSource(4, 2, 128, "openpose")
    seeds = [source.seed(index) for index in range(len(source))]
    assert all(scene(seed).joints for seed in seeds)
    assert seeds == sorted(set(seeds))
    assert seeds[3] < HELD_OUT <= seeds[4]
    between = set(range(seeds[3])) - set(seeds)
    assert between
    assert not any(scene(seed).joints for seed in between)


def test_toyworld_keeps_held_out_scenes_apart_and_gives_exact_maps():
    source = ToyworldSource(5, 3, 128, "canny")
    assert [source.seed(number) for number in range(8)] == [0, 1, 2, 3, 4, HELD_OUT, HELD_OUT + 1, HELD_OUT + 2]
    drawn = scene(HELD_OUT + 1)
    sample = source.read(6)
    assert np.array_equal(sample.picture, drawn.picture)
    assert np.array_equal(sample.condition, drawn.canny)
    assert source.size(6) == (128, 128)
    depth, pose = (ToyworldSource(5, 3, 128, kind).fingerprint() for kind in ("depth", "openpose"))
    assert depth.pictures == source.fingerprint().pictures != pose.pictures
    assert depth.whole != source.fingerprint().whole
    assert source.read(6, mapped=False).condition is None
    assert ToyworldSource(5, 3, 128, "softedge").read(0).condition is None
    with pytest.raises(DatasetError, match="10000000 scenes"):
        ToyworldSource(HELD_OUT + 1, 0, 128, None)


def test_ready_maps_and_an_extractor_contradict_each_other(tmp_path):
    with pytest.raises(RecipeError, match="keep one of the two"):
        open_source(settings(tmp_path, conditions="maps", extractor="canny"), "canny")
    with pytest.raises(RecipeError, match="own exact maps"):
        open_source(settings("toyworld", conditions="maps"), "canny")


def test_a_number_beyond_the_rows_is_no_sample(tmp_path):
    source = in_layout("hf", tmp_path / "data")
    with pytest.raises(IndexError):
        source.read(6)


def test_a_row_without_a_picture_is_bad(tmp_path):
    import datasets

    rows = {"image": [{"bytes": png(picture(0)), "path": None}, None], "text": ["one", "two"]}
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path))
    source = open_source(settings(tmp_path), "sketch")
    assert source.size(1) is None
    with pytest.raises(BadSampleError, match=r"row 0000001.*nothing in column 'image'"):
        source.read(1)


OWN_FORMAT = '''
"""Pictures of one colour, by name: a source that draws its samples itself."""
import numpy as np
from armature.data.sources.source import Fingerprint, Sample, Source, SourceFormat


class Colours(Source):
    name = "colours"

    def __len__(self):
        return 6

    def key(self, index):
        return f"colour {index}"

    def read(self, index, *, mapped=True):
        picture = np.full((64, 64, 3), 40 * index, np.uint8)
        return Sample(self.key(index), picture, "a colour", picture if mapped else None)

    def fingerprint(self):
        return Fingerprint("colours", "colours")

    @property
    def has_maps(self):
        return True

    def sizes(self):
        return {index: (64, 64) for index in range(6)}


FORMAT = SourceFormat(lambda source: float(source == "colours"), lambda settings, kind: Colours(), ("depth",))
'''


def test_a_new_source_is_one_file(tmp_path, monkeypatch):
    from armature.data.sources import formats
    from armature.data.sources import open as opening

    (tmp_path / "colours.py").write_text(OWN_FORMAT)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    opening.all_formats.cache_clear()
    try:
        assert settings("colours", format="colours").format == "colours"
        data = opened("colours", kind="depth", held_out=2)
        assert (len(data.training), len(data.held_out), data.bucket(0)) == (4, 2, (64, 64))
        assert data.load(3).control.tolist() == data.load(3).pixels.tolist()
        assert opening.exact_kinds(settings("colours")) == ("depth",)
    finally:
        opening.all_formats.cache_clear()


def test_a_format_that_nobody_knows_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'tfds' is no format of data; expected one of auto, folder, hf,"):
        settings("somewhere", format="tfds")


def test_maps_of_data_that_is_not_there_are_nobodys(tmp_path):
    from armature.data.sources.open import exact_kinds

    assert exact_kinds(settings(tmp_path / "nothing" / "here")) == ()
    assert "sketch" in exact_kinds(settings("toyworld"))
