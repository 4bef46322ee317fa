"""Lengths and turns follow from steps and minutes alone, and the clock stands still when told."""

import pytest

from armature.training.recipe.duration import Duration
from armature.training.trainer.clock import Clock, Length, due


def test_a_length_ends_by_its_own_unit():
    steps = Length.of(Duration(10, "steps"), None)
    assert (steps.over(9, 1e9), steps.over(10, 0.0), steps.progress(5, 99.0)) == (False, True, 0.5)
    assert Length.of(Duration(2, "epochs"), 7).steps == 14
    minutes = Length.of(Duration(2, "minutes"), None)
    assert (minutes.over(10**9, 1.9), minutes.over(0, 2.0), minutes.progress(3, 0.5)) == (False, True, 0.25)


def test_turns_come_every_so_many_steps_epochs_and_minutes():
    def turns(every, minutes=lambda step: 0.0):
        when = Duration.parse(every)
        return [step for step in range(9) if due(when, step, 4, minutes(step), minutes(step - 1))]

    assert turns("3 steps") == [3, 6]
    assert turns("1 epoch") == [4, 8]
    assert turns("0.5 epochs") == [2, 4, 6, 8]
    assert turns("1 minute", lambda step: step * 0.4) == [3, 5, 8]
    assert not due(None, 3, None, 5.0, 0.0)


def test_the_clock_counts_on_and_stands_still_when_told():
    seconds = 100.0
    clock = Clock(now=lambda: seconds)
    seconds += 60
    assert clock.minutes == 0.0
    clock.start(2.0)
    seconds += 30
    with clock.paused():
        seconds += 600
        assert clock.minutes == pytest.approx(2.5)
    seconds += 15
    assert clock.minutes == pytest.approx(2.75)
