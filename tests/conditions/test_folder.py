import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from drawings import lines, photo
from PIL import Image

from armature.conditions import folder as folder_room
from armature.conditions.extract import extract
from armature.conditions.folder import Job, extract_file, extract_folder
from armature.conditions.picture.fit import fit_picture
from armature.errors import ConditionError


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.jpg", "deep/c.webp")):
        photo(48, seed=index).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_map_carries_its_settings_and_equals_the_call(tmp_path, pictures):
    extract_file(Job("canny", {"low": 40, "high": 90}), pictures / "a.png", tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as image:
        stored = json.loads(image.info["armature"])
        np.testing.assert_array_equal(
            np.asarray(image), np.asarray(extract("canny", pictures / "a.png", low=40, high=90))
        )
    assert stored["extractor"] == "canny"
    assert stored["settings"] == {"low": 40, "high": 90, "blur": 0.0}
    assert stored["version"] == 1
    assert stored["source"] == "a.png"


def test_size_is_fitted_before_extraction(tmp_path, pictures):
    extract_file(Job("canny", {}, (40, 32), "crop"), pictures / "a.png", tmp_path / "m.png")
    expected = extract("canny", fit_picture(photo(48), (40, 32), "crop"))
    np.testing.assert_array_equal(pixels_of(tmp_path / "m.png"), np.asarray(expected))


def test_a_folder_keeps_its_structure_and_goes_on_where_it_stopped(tmp_path, pictures):
    out, seen = tmp_path / "out", []
    report = extract_folder(Job("grey"), pictures, out, progress=lambda done, total: seen.append((done, total)))
    assert [path.relative_to(out).as_posix() for path in report.written] == ["a.png", "b.png", "deep/c.png"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    (out / "b.png").unlink()
    again = extract_folder(Job("grey"), pictures, out)
    assert [path.name for path in again.written] == ["b.png"]
    assert len(again.kept) == 2


def test_new_settings_versions_and_pictures_are_made_anew(tmp_path, pictures, monkeypatch):
    out = tmp_path / "out"
    extract_folder(Job("canny"), pictures, out)
    assert len(extract_folder(Job("canny", {"blur": 1}), pictures, out).written) == 3
    os.utime(pictures / "a.png", ns=(1, 1))
    assert [path.name for path in extract_folder(Job("canny", {"blur": 1}), pictures, out).written] == ["a.png"]
    assert len(extract_folder(Job("canny", {"blur": 1}), pictures, out, force=True).written) == 3
    (out / "a.png").write_bytes(b"half a file")
    assert [path.name for path in extract_folder(Job("canny", {"blur": 1}), pictures, out).written] == ["a.png"]


def test_broken_pictures_are_reported_and_the_rest_goes_on(tmp_path, pictures):
    (pictures / "broken.png").write_bytes(b"nothing")
    photo(48).save(pictures / "b.png")
    report = extract_folder(Job("grey"), pictures, tmp_path / "out")
    assert len(report.written) == 3
    messages = {path.name: message for path, message in report.failed}
    assert messages["b.png"] == "b.jpg makes b.png already; rename one of them."
    assert "cannot be read as a picture" in messages["broken.png"]
    assert not (tmp_path / "out" / "broken.png").exists()


def test_two_processes_give_the_same_maps(tmp_path, pictures):
    extract_folder(Job("sketch"), pictures, tmp_path / "one")
    report = extract_folder(Job("sketch"), pictures, tmp_path / "two", jobs=2)
    assert len(report.written) == 3
    for path in report.written:
        twin = tmp_path / "one" / path.relative_to(tmp_path / "two")
        np.testing.assert_array_equal(pixels_of(path), pixels_of(twin))


def test_a_failed_write_leaves_nothing(tmp_path, pictures, monkeypatch):
    class Broken:
        def save(self, file, *_, **__):
            file.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder_room.write_png(Broken(), tmp_path / "m.png", {})  # type: ignore[arg-type]
    assert not list(tmp_path.glob("m.png"))
    assert not list(tmp_path.glob("*.part"))


def test_maps_inside_the_folder_are_not_taken_for_pictures(pictures):
    out = pictures / "maps"
    assert len(extract_folder(Job("grey"), pictures, out).written) == 3
    assert len(extract_folder(Job("grey"), pictures, out).kept) == 3


@pytest.mark.parametrize(
    ("kind", "options", "jobs", "message"),
    [
        ("canny", {"low": -5}, 1, "low=-5 must lie in"),
        ("dots", {}, 1, "Unknown extractor 'dots'"),
        ("grey", {}, 0, "jobs is 0; expected 1 or more"),
    ],
)
def test_mistakes_are_told_before_any_work(tmp_path, pictures, kind, options, jobs, message):
    with pytest.raises(ConditionError, match=message):
        extract_folder(Job(kind, options), pictures, tmp_path / "out", jobs=jobs)
    assert not (tmp_path / "out").exists()


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(ConditionError, match="No folder at"):
        extract_folder(Job("grey"), tmp_path / "gone", tmp_path / "out")
    (tmp_path / "in").mkdir()
    with pytest.raises(ConditionError, match=r"No pictures \(.bmp, "):
        extract_folder(Job("grey"), tmp_path / "in", tmp_path / "out")


def test_the_picture_itself_is_never_overwritten(pictures):
    with pytest.raises(ConditionError, match="is the picture itself; choose another place"):
        extract_file(Job("grey"), pictures / "a.png", pictures / "a.png")


def test_what_is_damaged_in_any_way_is_named_and_the_rest_goes_on(tmp_path, pictures):
    """Pages that cannot be counted, half a file, ten thousand million declared pixels, broken metadata."""
    photo(48).save(pictures / "pages.tiff")
    data = bytearray((pictures / "pages.tiff").read_bytes())
    (directory,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * entries, 2)
    (pictures / "pages.tiff").write_bytes(data)
    whole = (pictures / "a.png").read_bytes()
    (pictures / "half.png").write_bytes(whole[: len(whole) // 2])
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    huge = whole[:8] + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + whole[33:]
    (pictures / "huge.png").write_bytes(huge)
    photo(48).save(pictures / "turned.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_bytes(huge)  # nor is a map that is none a reason to stop
    report = extract_folder(Job("grey"), pictures, tmp_path / "out")
    messages = {path.name: message for path, message in report.failed}
    assert set(messages) - {"turned.jpg"} == {"pages.tiff", "half.png", "huge.png"}
    assert "pages.tiff' is truncated or damaged" in messages["pages.tiff"]
    assert "half.png' is truncated or damaged" in messages["half.png"]
    assert "huge.png' is 100000 x 100000 px, above the limit of 64000000 pixels" in messages["huge.png"]
    assert {"a.png", "b.png", "c.png"} <= {path.name for path in report.written}
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".png"]


def test_a_picture_beyond_the_memory_is_named(tmp_path, pictures, monkeypatch):
    def little(path):
        if path.name == "a.png":
            raise MemoryError
        return photo(48)

    monkeypatch.setattr(folder_room, "read_picture", little)
    report = extract_folder(Job("grey"), pictures, tmp_path / "out")
    assert len(report.written) == 2
    assert [message.endswith("a.png' is too large for this machine's memory.") for _, message in report.failed] == [
        True
    ]


def test_temporary_files_of_a_killed_run_are_removed_by_the_next(tmp_path, pictures):
    out = tmp_path / "out" / "deep"
    out.mkdir(parents=True)
    # As a process writes them whose number no process has any more.
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from pathlib import Path; from armature.files import _beside; "
         "path = _beside(Path(sys.argv[1])); path.touch(); print(path)", str(out / "c.png")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()).exists()
    extract_folder(Job("grey"), pictures, tmp_path / "out")
    assert [path.name for path in out.iterdir()] == ["c.png"]


def test_notes_are_on_the_map_and_in_the_report(tmp_path):
    (tmp_path / "in").mkdir()
    lines(0, 255).save(tmp_path / "in" / "drawing.png")
    photo().save(tmp_path / "in" / "photo.png")
    report = extract_folder(Job("sketch"), tmp_path / "in", tmp_path / "out", jobs=2)
    told = "Dark lines on light paper were turned into white lines on black."
    assert report.notes == [(tmp_path / "in" / "drawing.png", (told,))]
    with Image.open(tmp_path / "out" / "drawing.png") as image:
        assert image.info[folder_room.NOTES_KEY] == told
    assert len(extract_folder(Job("sketch"), tmp_path / "in", tmp_path / "out").kept) == 2
