"""Composition lays controls along the batch as prompts lie, sums them, and copies nothing that can be broadcast."""

import pytest
import torch
from small_parts import drawing, half_mask, sd_adapter

from armature import AttachError, Control, Features
from armature.injection.hooks import Addition
from armature.injection.layout import BatchLayout, broadcast
from armature.injection.mask import read_masks
from armature.injection.mix import ControlFeatures, mix

ADAPTER = sd_adapter()
GUIDED = (False, True)


def rows(addition: Addition, batch: BatchLayout) -> torch.Tensor:
    """What every row of the U-Net's batch gets: (rows, channels, height, width)."""
    count = batch.copies * batch.images * batch.frames
    zero = torch.zeros(count, *addition.value.shape[-3:])
    if addition.split is None:
        return zero + addition.value
    return (zero.unflatten(0, addition.split) + addition.value).flatten(0, 3)


def part(values, **options):
    """A control whose features are constant maps of these values, one per picture."""
    maps = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 16, 4, 4)
    return ControlFeatures(Control(ADAPTER, [drawing()] * len(values), **options), Features((maps,) * 3))


def mixed(parts, batch):
    addition = mix(parts, 0, batch, torch.zeros(1))
    return None if addition is None else rows(addition, batch)[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("values", "batch", "expected"),
    [
        ([7], BatchLayout(GUIDED, 3), [7] * 6),
        ([1, 2], BatchLayout(GUIDED, 4), [1, 1, 2, 2] * 2),
        ([1, 2, 3, 4], BatchLayout(GUIDED, 4), [1, 2, 3, 4] * 2),
        ([1, 2], BatchLayout((True,), 4), [1, 1, 2, 2]),
        ([1, 2], BatchLayout((False, True, True), 2), [1, 2] * 3),
        ([1, 2], BatchLayout(None, 2), [1, 2]),
        ([7], BatchLayout(None, 3), [7] * 3),
        ([1, 2, 3], BatchLayout(GUIDED, 2, frames=3), [1, 2, 3, 1, 2, 3] * 2),
        ([1, 2], BatchLayout(GUIDED, 2, frames=3), [1, 1, 1, 2, 2, 2] * 2),
        ([1, 2, 3, 4, 5, 6], BatchLayout(GUIDED, 4, frames=3), [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6] * 2),
        ([7], BatchLayout(None, 2, frames=3), [7] * 6),
    ],
)
def test_pictures_lie_along_the_batch_as_prompts_do(values, batch, expected):
    assert mixed([part(values)], batch) == expected


@pytest.mark.parametrize(
    ("count", "batch", "message"),
    [
        (
            3,
            BatchLayout(GUIDED, 4),
            "has 3 pictures and the call runs 4 images, 2 guidance copies; give one, or as many as",
        ),
        (4, BatchLayout(GUIDED, 2), "has 4 pictures and the call runs 2 images"),
        (2, BatchLayout(None, 4), r"has 2 pictures and the call runs 4 images; give one, or one per row of the batch"),
        (5, BatchLayout(GUIDED, 2, frames=3), "has 5 pictures and the call runs 2 videos of 3 frames"),
    ],
)
def test_another_number_of_pictures_raises(count, batch, message):
    with pytest.raises(AttachError, match=message):
        mixed([part([1] * count)], batch)


def test_controls_are_summed_with_their_weights_and_levels():
    parts = [part([1], weight=2.0), part([10], levels=(0.5, 1, 1)), part([100], weight=-1.0)]
    assert mixed(parts, BatchLayout((True,), 2)) == [2 + 5 - 100] * 2


def test_controls_of_several_counts_meet():
    parts = [part([1]), part([10, 20]), part([100, 200, 300, 400])]
    assert mixed(parts, BatchLayout(GUIDED, 4)) == [111, 211, 321, 421] * 2


def test_the_conditional_half_alone():
    assert mixed([part([1, 2], guidance_half="conditional")], BatchLayout(GUIDED, 2)) == [0, 0, 1, 2]
    assert mixed([part([1], guidance_half="conditional")], BatchLayout((False, True, True), 2)) == [0, 0, 1, 1, 1, 1]
    assert mixed([part([1], guidance_half="conditional")], BatchLayout((True,), 2)) == [1, 1]


def test_the_conditional_half_needs_someone_who_knows_it():
    with pytest.raises(AttachError, match="does not tell its halves apart; attach to the pipeline, or use guidance"):
        mixed([part([1], guidance_half="conditional")], BatchLayout(None, 2))


def test_a_mask_weakens_where_it_is_dark():
    masked = ControlFeatures(part([1]).control, part([1]).features, read_masks(half_mask()))
    addition = mix([masked], 0, BatchLayout(GUIDED, 1), torch.zeros(1))
    assert addition.value[0, 0, 0].tolist() == [1, 1, 0, 0]


def test_nothing_active_adds_nothing_at_all():
    batch = BatchLayout(GUIDED, 1)
    assert mixed([], batch) is None
    assert mixed([part([1], weight=0)], batch) is None
    assert mixed([part([1], levels=(0, 1, 1))], batch) is None


def test_one_picture_for_both_halves_is_never_copied():
    addition = mix([part([1])], 0, BatchLayout(GUIDED, 4), torch.zeros(1))
    assert addition.value.shape == (1, 16, 4, 4)
    assert addition.split is None


def test_laying_out_shares_memory():
    value = torch.zeros(2, 3, 4, 4)
    assert broadcast(value, BatchLayout(GUIDED, 4), "sketch").data_ptr() == value.data_ptr()


def test_the_sum_has_the_device_and_precision_of_the_unet():
    addition = mix([part([1])], 0, BatchLayout(GUIDED, 1), torch.zeros(1, dtype=torch.bfloat16))
    assert addition.value.dtype == torch.bfloat16
