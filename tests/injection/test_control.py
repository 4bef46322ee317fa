"""A Control is complete and valid once made, or says what is wrong with it."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from small_parts import drawing, sd_adapter

from armature import AttachError, Control

ADAPTER = sd_adapter(widths=(16, 16, 32, 32))


def control(**options):
    return Control(ADAPTER, drawing(), **options)


def test_defaults_act_fully_everywhere():
    made = control()
    assert (made.level_weights, made.always, made.guidance_half, made.mask) == ((1.0,) * 4, True, "both", None)


def test_a_control_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        control().weight = 2.0


def test_the_soft_preset_is_finest_first_and_multiplies_the_weight():
    assert control(levels="soft", weight=2).level_weights == (0.5, 1.24, 1.65, 2.0)


def test_levels_are_read_from_text_as_on_the_command_line():
    assert control(levels="1/0.5/0/2", weight=2).level_weights == (2.0, 1.0, 0.0, 4.0)


def test_numpy_numbers_are_numbers():
    assert control(weight=np.float32(0.5), levels=[np.int64(1)] * 4).level_weights == (0.5,) * 4


@pytest.mark.parametrize("weight", [math.nan, math.inf, "1", None, True, torch.tensor(1.0)])
def test_a_weight_that_is_no_finite_number_is_refused(weight):
    with pytest.raises(AttachError, match=r"weight is .*; expected a finite number"):
        control(weight=weight)


@pytest.mark.parametrize(("start", "end"), [(0.6, 0.4), (0.5, 0.5), (-0.1, 1.0), (0.0, 1.1)])
def test_a_window_that_is_none_is_refused(start, end):
    with pytest.raises(
        AttachError, match=rf"sketch control has start={start} and end={end}; expected 0 <= start < end"
    ):
        control(start=start, end=end)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((1, 1, 1), "levels has 3 numbers; this adapter has 4 levels"),
        ("hard", "Unknown level preset 'hard'; expected soft, or numbers such as 1/1/0.5/0"),
        ((1, 1, 1, math.nan), r"levels\[3\] is nan"),
        (0.5, "levels is 0.5; expected 4 numbers"),
    ],
)
def test_levels_that_do_not_fit_are_refused(levels, message):
    with pytest.raises(AttachError, match=message):
        control(levels=levels)


def test_the_soft_preset_needs_four_levels():
    with pytest.raises(AttachError, match="levels has 4 numbers; this adapter has 3 levels"):
        Control(sd_adapter(), drawing(), levels="soft")


def test_an_unknown_guidance_half_is_refused():
    with pytest.raises(AttachError, match="guidance_half is 'uncond'; expected one of 'both', 'conditional'"):
        control(guidance_half="uncond")


@pytest.mark.parametrize("image", [None, []])
def test_a_control_without_a_picture_is_refused(image):
    with pytest.raises(AttachError, match="sketch control has no picture"):
        Control(ADAPTER, image)


def test_something_else_than_an_adapter_is_refused():
    with pytest.raises(AttachError, match=r"got Linear as its adapter; give what armature.load_adapter returns"):
        Control(torch.nn.Linear(1, 1), drawing())


def test_the_window_includes_its_start_and_excludes_its_end():
    half = control(start=0.25, end=0.6)
    assert [step for step in range(20) if half.active(step, 20)] == list(range(5, 12))
    assert control(start=0.5).active(19, 20)
