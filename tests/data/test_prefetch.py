"""Work done ahead comes out in order, its errors at their place, and its threads go away."""

import itertools
import random
import threading
import time

import pytest

from armature.data.prefetch import Prefetch


def ours():
    return [t for t in threading.enumerate() if t.name.startswith("armature-prefetch")]


def slowly(job):
    time.sleep(random.random() / 500)
    return job * job


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_the_order_is_that_of_the_jobs(workers):
    assert list(Prefetch(range(50), slowly, workers=workers)) == [n * n for n in range(50)]
    assert ours() == []


@pytest.mark.parametrize("workers", [0, 3])
def test_an_error_is_raised_at_its_place_and_ends_the_work(workers):
    def work(job):
        if job == 3:
            raise ValueError("job 3")
        return job

    ahead, got = Prefetch(range(10), work, workers=workers), []
    with pytest.raises(ValueError, match="job 3"):
        got.extend(next(ahead) for _ in range(10))
    assert got == [0, 1, 2]
    assert ours() == []
    assert list(ahead) == []


def test_no_more_is_done_ahead_than_asked():
    started = []

    def work(job):
        started.append(job)
        return job

    ahead = Prefetch(itertools.count(), work, workers=2, ahead=4)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    ahead.close()
    assert len(started) <= 3 + 4
    assert ours() == []


def test_close_returns_when_what_is_under_way_has_ended():
    gate, ended = threading.Event(), []

    def work(job):
        if job:
            gate.wait(5)
        ended.append(job)

    ahead = Prefetch(range(100), work, workers=1, ahead=50)
    threading.Timer(0.05, gate.set).start()
    next(ahead)
    ahead.close()
    assert ended in ([0], [0, 1])
    assert ours() == []
