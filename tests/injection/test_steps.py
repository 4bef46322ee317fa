"""Every U-Net call is placed in its step, for every sampler and wherever a pipeline begins and ends."""

from types import SimpleNamespace

import pytest
import torch
from small_parts import scheduler
from small_pipelines import SAMPLERS

from armature.injection.steps import StepTracker


def pipeline_with(name, steps=10, **options):
    sampler = scheduler(name, **options)
    sampler.set_timesteps(steps)
    return SimpleNamespace(scheduler=sampler)


def run(clock, pipeline, begin=0, end=None):
    return [clock.locate(pipeline, t) for t in pipeline.scheduler.timesteps[begin:end]]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_ten_steps_are_ten_steps_in_order(sampler):
    name, options = SAMPLERS[sampler]
    ticks = run(StepTracker(), pipeline_with(name, **options))
    steps = [tick.step for tick in ticks]
    assert ticks[0].run.count == 10
    assert sorted(set(steps)) == list(range(10))
    assert steps == sorted(steps)
    assert [tick.fresh for tick in ticks] == [True] + [False] * (len(ticks) - 1)


@pytest.mark.parametrize("name", ["HeunDiscreteScheduler", "KDPM2DiscreteScheduler"])
def test_order_2_samplers_have_two_calls_a_step(name):
    steps = [tick.step for tick in run(StepTracker(), pipeline_with(name))]
    assert steps == [call // 2 for call in range(19)]


def test_pndm_repeats_a_timestep_within_one_step():
    steps = [tick.step for tick in run(StepTracker(), pipeline_with("PNDMScheduler", skip_prk_steps=True))]
    assert steps == [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_the_long_warm_up_of_pndm_never_goes_back():
    steps = [tick.step for tick in run(StepTracker(), pipeline_with("PNDMScheduler", skip_prk_steps=False))]
    assert steps == sorted(steps)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_late_begin_counts_from_there(sampler):
    name, options = SAMPLERS[sampler]
    pipeline = pipeline_with(name, **options)
    begin = 4 * pipeline.scheduler.order
    if hasattr(pipeline.scheduler, "set_begin_index"):
        pipeline.scheduler.set_begin_index(begin)
    ticks = run(StepTracker(), pipeline, begin)
    assert ticks[0].step == 0
    assert ticks[-1].step == ticks[0].run.count - 1
    assert ticks[0].run.count == (7 if sampler == "PNDM" else 6)


def test_an_early_end_counts_to_there():
    pipeline = pipeline_with("DDIMScheduler")
    pipeline._denoising_end, pipeline._num_timesteps = 0.6, 6
    assert run(StepTracker(), pipeline, end=6)[0].run.count == 6


@pytest.mark.parametrize("copy", [lambda t: t.clone(), float, lambda t: t.clone().expand(4), lambda t: t.expand(4)])
@pytest.mark.parametrize("name", ["DDIMScheduler", "HeunDiscreteScheduler", "PNDMScheduler"])
def test_timesteps_that_lost_their_place_are_found_by_value(name, copy):
    clock, pipeline = (
        StepTracker(),
        pipeline_with(name, **({"skip_prk_steps": True} if name == "PNDMScheduler" else {})),
    )
    expected = [tick.step for tick in run(StepTracker(), pipeline)]
    assert [clock.locate(pipeline, copy(t)).step for t in pipeline.scheduler.timesteps] == expected


def test_a_second_call_is_recognised_by_new_timesteps_or_by_going_back():
    clock, pipeline = StepTracker(), pipeline_with("DDIMScheduler", 3)
    run(clock, pipeline)
    assert run(clock, pipeline)[0].fresh
    pipeline.scheduler.set_timesteps(3)
    # The last timestep of the old schedule and the first of a one-step tail look alike but for their tensor.
    assert run(clock, pipeline, begin=2)[0].fresh


def test_a_unet_called_twice_on_a_step_stays_in_it():
    clock, pipeline = StepTracker(), pipeline_with("DDIMScheduler", 3)
    times = pipeline.scheduler.timesteps
    ticks = [clock.locate(pipeline, t) for t in (times[0], times[0], times[1], times[1], times[2])]
    assert [tick.step for tick in ticks] == [0, 0, 1, 1, 2]
    assert [tick.fresh for tick in ticks] == [True, False, False, False, False]


def test_a_timestep_of_nobody_is_none():
    pipeline = pipeline_with("DDIMScheduler", 3)
    assert StepTracker().locate(pipeline, torch.tensor(999)) is None
    assert StepTracker().locate(SimpleNamespace(scheduler=None), torch.tensor(1)) is None
    assert StepTracker().locate(SimpleNamespace(scheduler=scheduler("PNDMScheduler")), torch.tensor(1)) is None
