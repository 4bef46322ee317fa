"""Files as the world has them: one that is broken costs its own sample, and nobody else's."""

import json
import os
import struct
import tarfile
import threading

import numpy as np
import pytest
from picture_folders import opened, picture, png, settings, write_folder, write_imagefolder, write_shards
from PIL import Image

from armature.data.samples.sample import Failure, try_load
from armature.data.sources.open import find_format, open_source
from armature.data.sources.reading import FileBytes, read_upright
from armature.data.sources.source import Problem, printable
from armature.errors import ConditionError, DatasetError

FOREIGN = b"caf\xe9.png".decode(errors="surrogateescape")


def damaged_tiff(path):
    """A TIFF whose pages cannot even be counted: behind its first one lies no other, though it says so."""
    Image.fromarray(picture(1)).save(path)
    data = bytearray(path.read_bytes())
    (directory,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * entries, 2)
    path.write_bytes(data)


def within(seconds, call):
    """What a call gives; a failure, not a test that hangs, when it takes longer."""
    given = []
    thread = threading.Thread(target=lambda: given.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert given, f"it still waits after {seconds} s"
    return given[0]


def test_a_tiff_whose_pages_cannot_be_counted_is_one_bad_sample(tmp_path):
    root = write_folder(tmp_path, 24)
    os.remove(root / "0001.png")
    damaged_tiff(root / "0001.tiff")
    with pytest.raises(ConditionError, match=r"The picture is truncated or damaged \(.+\)"):
        read_upright(FileBytes(root / "0001.tiff"))
    data = opened(root, conditions="../maps")
    loaded = [try_load(data, number, 0, data.bucket(number)) for number in data.training]
    assert sum(not isinstance(sample, Failure) for sample in loaded) == 23
    assert {key: problem.sort for key, problem in data.bad.by_key.items()} == {"0001.tiff": "picture"}


@pytest.mark.parametrize("layout", ["imagefolder", "folder"])
def test_a_caption_that_is_no_valid_unicode_is_one_bad_sample(layout, tmp_path):
    if layout == "imagefolder":
        root = write_imagefolder(tmp_path, 24)
        rows = (root / "metadata.jsonl").read_text().splitlines()
        rows[3] = json.dumps({**json.loads(rows[3]), "text": "half a \ud83d face"})
        (root / "metadata.jsonl").write_text("\n".join(rows))
    else:
        root = write_folder(tmp_path, 24)
        (root / "0003.txt").write_bytes(b"caf\xe9")
    data = opened(root, resolution=64)
    assert len(data.training) == 23
    ((key, problem),) = data.bad.by_key.items()
    assert (key.endswith("3.png"), problem.sort) == (True, "caption")
    assert "no valid Unicode: 'half a \\ud83d face'" in problem.reason or "no UTF-8 text" in problem.reason
    data.fingerprint()


def test_one_line_of_metadata_that_is_no_utf8_leaves_the_others(tmp_path):
    root = write_imagefolder(tmp_path, 24)
    lines = (root / "metadata.jsonl").read_bytes().split(b"\n")
    lines[5] = b'{"file_name": "train/5.png", "text": "caf\xe9"}'
    (root / "metadata.jsonl").write_bytes(b"\n".join(lines))
    data = opened(root)
    assert (len(data.training), list(data.bad.by_key)) == (23, ["metadata.jsonl:6"])


def test_separators_inside_a_json_text_end_no_line(tmp_path):
    root = write_imagefolder(tmp_path, 1)
    row = {"file_name": "train/0.png", "text": "one\u2028two"}
    (root / "metadata.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    assert open_source(settings(root), "sketch").read(0).caption == "one two"


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_file_name_that_is_no_valid_unicode_is_read_and_written_out(tmp_path):
    root = write_folder(tmp_path, 2)
    for folder in ("pictures", "maps"):
        (tmp_path / folder / FOREIGN).write_bytes((tmp_path / folder / "0000.png").read_bytes())
    (root / FOREIGN).with_suffix(".txt").write_text("a coffee house")
    data = opened(root, conditions="../maps")
    keys = [data.key(number) for number in data.training]
    assert keys == ["0000.png", "0001.png", "caf\\udce9.png"]
    sample = data.load(2)
    assert (sample.key, sample.caption) == (keys[2], "a coffee house")
    assert sample.key.encode().decode() == sample.key
    data.fingerprint()
    os.remove(tmp_path / "maps" / FOREIGN)
    lacking = opened(root, conditions="../maps", bad_share=0.5)
    assert "maps/caf\\udce9.png" in lacking.bad.by_key[keys[2]].reason


def test_reasons_can_always_be_printed():
    assert Problem("picture", f"no {FOREIGN}").reason == "no caf\\udce9.png"
    assert printable("ein schöner Hund 🐕") == "ein schöner Hund 🐕"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
@pytest.mark.parametrize("name", ["0001.png", "0001.txt"])
def test_a_pipe_in_a_folder_is_one_bad_sample(name, tmp_path):
    root = write_folder(tmp_path, 24)
    os.remove(root / name)
    os.mkfifo(root / name)
    data = within(60, lambda: opened(root))
    assert list(data.bad.by_key) == ["0001.png"]
    assert len(data.training) == 23
    within(60, data.fingerprint)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
def test_a_pipe_among_maps_and_shards_is_not_waited_for(tmp_path):
    root = write_folder(tmp_path, 24)
    os.remove(tmp_path / "maps/0001.png")
    os.mkfifo(tmp_path / "maps/0001.png")
    data = within(60, lambda: opened(root, conditions="../maps"))
    failure = within(60, lambda: try_load(data, 1, 0, data.bucket(1)))
    assert failure.problem.reason == "Its map: The picture cannot be opened (it is no regular file)."
    shards = write_shards(tmp_path / "shards", 4)
    os.mkfifo(shards / "pipe.tar")
    assert len(within(60, lambda: open_source(settings(shards), "sketch"))) == 4


def write_csv(root, rows):
    root.mkdir(parents=True, exist_ok=True)
    (root / "metadata.csv").write_bytes(b"\n".join(rows) + b"\n")
    for number in range(3):
        (root / f"{number}.png").write_bytes(png(picture(number)))
    return root


def test_metadata_may_be_a_table(tmp_path):
    rows = [
        b"\xef\xbb\xbffile_name,text",
        b'0.png,"a dog, a cat"',
        b"1.png,caf\xe9",
        b"2.png,a,b",
        b'2.png,"two\nlines"',
    ]
    root = write_csv(tmp_path, rows)
    assert find_format(str(root)) == "imagefolder"
    source = open_source(settings(root), "sketch")
    assert source.read(0).caption == "a dog, a cat"
    assert "no valid Unicode" in source.problem(1).reason
    assert "more columns than the first line" in source.problem(2).reason
    assert source.read(3).caption == "two lines"
    assert np.array_equal(source.read(3).picture, picture(2))


def test_a_table_of_something_else_makes_no_imagefolder(tmp_path):
    root = write_csv(tmp_path, [b"photographer,year", b"somebody,1999"])
    assert find_format(str(root)) == "folder"


def test_both_kinds_of_metadata_in_one_folder_are_refused(tmp_path):
    root = write_csv(tmp_path, [b"file_name,text", b"0.png,a dog"])
    (root / "metadata.jsonl").write_text('{"file_name": "0.png", "text": "a cat"}')
    with pytest.raises(DatasetError, match=r"has both metadata.jsonl and metadata.csv; keep the one that counts"):
        opened(root)


@pytest.mark.parametrize("layout", ["folder", "imagefolder", "csv", "webdataset", "hf"])
def test_a_default_caption_stands_for_those_that_lack_one_and_for_no_other(layout, tmp_path):
    if layout == "folder":
        root = write_folder(tmp_path, 3, maps=False)
        os.remove(root / "0000.txt")
        (root / "0001.txt").write_text(" \n")
    elif layout == "imagefolder":
        root = write_imagefolder(tmp_path, 3)
        rows = [json.loads(row) for row in (root / "metadata.jsonl").read_text().splitlines()]
        del rows[0]["text"]
        rows[1]["text"] = None
        (root / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    elif layout == "csv":
        root = write_csv(tmp_path, [b"file_name,text", b"0.png", b"1.png,", b"2.png,thing number 2"])
    elif layout == "webdataset":
        root = write_tar(tmp_path)
    else:
        root = write_captions(tmp_path / "saved", [None, "", "thing number 2"])
    bare = open_source(settings(root), "depth")
    assert [bare.problem(number) and bare.problem(number).sort for number in range(3)] == ["caption", "caption", None]
    source = open_source(settings(root, default_caption="a photo"), "depth")
    assert [source.read(number).caption for number in range(3)] == ["a photo", "a photo", "thing number 2"]
    assert source.fingerprint().pictures != bare.fingerprint().pictures


def write_tar(root):
    import io
    import tarfile

    with tarfile.open(root / "a.tar", "w") as archive:
        members = [("0.png", png(picture(0))), ("1.png", png(picture(1))), ("1.json", b'{"other": 1}')]
        for name, data in [*members, ("2.png", png(picture(2))), ("2.txt", b"thing number 2")]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return root


def write_captions(root, captions):
    import datasets

    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    pictures = [{"bytes": png(picture(number)), "path": None} for number in range(len(captions))]
    datasets.Dataset.from_dict({"image": pictures, "text": captions}, features=features).save_to_disk(str(root))
    return root


def member(name, data, size=None):
    """A tar member; `size`: the 12 bytes of its size field, with a right checksum."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    if size is not None:
        header[124:136], header[148:156] = size, b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data + bytes(-len(data) % 512)


@pytest.mark.parametrize(
    "size", [(-1024).to_bytes(12, "big", signed=True), (-512).to_bytes(12, "big", signed=True), b"abc".ljust(12, b"\0")]
)
def test_a_shard_whose_members_lead_back_ends_there(tmp_path, size):
    """Python's own reader goes round for ever."""
    parts = [member("0.png", png(picture(0))), member("0.txt", b"a dog"), member("1.png", b"x", size), bytes(1024)]
    (tmp_path / "a.tar").write_bytes(b"".join(parts))
    source = within(60, lambda: open_source(settings(tmp_path), "sketch"))
    assert (len(source), source.read(0).caption) == (2, "a dog")
    assert "what follows is lost" in source.problem(1).reason


def test_names_that_are_too_long_with_another_ending_have_no_caption(tmp_path):
    root = write_folder(tmp_path, 2)
    (root / f"{'x' * 250}.png").write_bytes(png(picture(2)))
    data = opened(root, bad_share=0.5)
    assert [key[:3] for key in data.bad.by_key] == ["xxx"]
    listed = write_imagefolder(tmp_path / "listed", 3)
    with (listed / "metadata.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"file_name": "x" * 300 + ".png", "text": "a dog"}))
    assert "there is no file" in open_source(settings(listed), "sketch").problem(3).reason


def test_a_caption_without_end_is_not_read(tmp_path):
    root = write_folder(tmp_path, 2)
    (root / "0000.txt").write_bytes(b"x" * 3_000_000)
    assert "it has more than 1000000 bytes" in open_source(settings(root), "sketch").problem(0).reason


def test_a_row_deeper_than_any_reader_is_one_bad_sample(tmp_path):
    root = write_imagefolder(tmp_path, 3)
    with (root / "metadata.jsonl").open("a") as file:
        file.write("\n" + "[" * 100_000 + "]" * 100_000)
    assert "nested more than 64 deep" in open_source(settings(root), "sketch").problem(3).reason
