"""A folder that is extracted in several processes and does not get to its end."""

import os
import signal
import subprocess
import sys
import time

import pytest
from drawings import photo
from PIL import Image

COUNT = 40
# Large enough that a map takes a noticeable time, small enough that starting is most of the test.
SIDE = 500


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "in").mkdir()
    picture = photo(SIDE)
    for number in range(COUNT):
        picture.save(tmp_path / "in" / f"{number:02d}.png", compress_level=1)
    return tmp_path / "in"


def started(pictures, out):
    """`armature extract sketch FOLDER -j 2`, in a process group of its own, once it has made some maps."""
    command = [sys.executable, "-m", "armature", "extract", "sketch", pictures, "--out", out, "-j", "2", "--json"]
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 240
    while len(list(out.glob("*.png"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def workers_of(process):
    """Numbers of the processes of its session that are at work, itself left out."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                state, _, _, session = file.read().rpartition(")")[2].split()[:4]
            with open(f"/proc/{entry}/cmdline", encoding="utf-8") as file:
                command = file.read()
        except OSError:
            continue
        if int(session) == process.pid and int(entry) != process.pid and state != "Z" and "spawn_main" in command:
            found.append(int(entry))
    return found


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def whole_maps(out):
    """The maps; every one of them can be read, and nothing half-written lies beside them."""
    assert [path.name for path in out.iterdir() if path.suffix != ".png"] == []
    for path in out.glob("*.png"):
        with Image.open(path) as image:
            image.load()
    return len(list(out.glob("*.png")))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("to_group", [True, False], ids=["terminal", "parent alone"])
def test_ctrl_c_ends_it_at_once_and_the_next_run_goes_on(pictures, tmp_path, to_group):
    out = tmp_path / "out"
    process = started(pictures, out)
    began = time.monotonic()
    (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
    told, errors = process.communicate(timeout=60)
    # Two seconds on a free machine; ten where others take the processor.
    assert time.monotonic() - began < 10
    assert (process.returncode, told) == (130, "")
    assert errors == "armature: stopped; maps that are done stay, and the same command makes the others.\n"
    assert wait_for(lambda: not workers_of(process), 5)
    assert 2 <= whole_maps(out) < COUNT


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_worker_gives_one_line(pictures, tmp_path):
    out = tmp_path / "out"
    process = started(pictures, out)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors == ""
    assert told.count("\n") == 1
    assert "A process that extracts sketch maps ended unexpectedly. Memory may have run out: try fewer jobs." in told
    assert wait_for(lambda: not workers_of(process), 5)
    assert 2 <= whole_maps(out) < COUNT


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_with_a_killed_parent_and_the_next_run_cleans_up(pictures, tmp_path):
    out = tmp_path / "out"
    process = started(pictures, out)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert wait_for(lambda: not workers_of(process), 20)
    left = len(list(out.glob("*.png")))
    assert 2 <= left < COUNT
    for path in sorted(pictures.iterdir())[:-3]:
        if not (out / path.name).exists():
            path.unlink()
    command = [sys.executable, "-m", "armature", "extract", "sketch", pictures, "--out", out]
    again = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    assert f"{left} up to date, 0 failed" in again.stdout
    assert whole_maps(out) == len(list(pictures.iterdir()))
