"""Files that are whole or not there, and digests that are the same everywhere."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from armature.errors import DatasetError
from armature.files import Digest, local_path, public_name, replacing, sweep


def test_a_file_being_written_is_not_swept_away(tmp_path):
    with replacing(tmp_path / "map.png") as temporary:
        temporary.write_bytes(b"half")
        sweep(tmp_path)
        temporary.write_bytes(b"whole")
    assert (tmp_path / "map.png").read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_killed_processs_file_goes_at_once_and_a_foreign_machines_after_an_hour(tmp_path):
    script = "import os, sys; from pathlib import Path; from armature.files import replacing\n"
    script += "with replacing(Path(sys.argv[1])): os._exit(9)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], check=False)
    (left,) = tmp_path.iterdir()
    foreign = tmp_path / ".b.00000000-1-0123456789abcdef.tmp"
    old = tmp_path / ".c.00000000-1-0123456789abcdef.tmp"
    for path in (foreign, old):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 4000,) * 2)
    sweep(tmp_path)
    assert not left.exists()
    assert list(tmp_path.iterdir()) == [foreign]


def test_digests_tell_apart_where_one_value_ends_and_the_next_begins():
    assert Digest("ab", "c").hex != Digest("a", "bc").hex
    assert Digest("ab", "c").hex == Digest(b"ab", b"c").hex


def test_digests_are_those_of_today_for_ever():
    # Every crop, flip and threshold of a data set is drawn from these.
    assert Digest("window", 7, "a/b.png", 0).number == 320321379497734742589215468991820839930
    assert Digest(np.arange(3, dtype="<i8").tobytes()).hex == Digest(np.arange(3, dtype="<i8").data).hex


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("~nosuchuser/a.png", "is in the home of a user who is not there; write the path"),
        ("a" * 300, r"'a+\.\.\.' cannot be looked for \(File name too long\); check the path"),
        ("a\0b", "cannot be looked for"),
    ],
)
def test_a_path_that_no_file_system_can_look_for_is_told(text, reason):
    with pytest.raises(DatasetError, match=reason):
        local_path(text, DatasetError)
    assert public_name(text)


def test_a_path_that_may_be_there_is_expanded_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/a", DatasetError) == tmp_path / "a"
    assert local_path(tmp_path / "a" / "b", DatasetError) == tmp_path / "a" / "b"
    (tmp_path / "file").touch()
    assert not local_path(tmp_path / "file" / "b", DatasetError).exists()
