"""Names of samplers, and schedulers made of a model's own."""

import pytest
from diffusers import DDIMScheduler, EulerDiscreteScheduler, LCMScheduler, PNDMScheduler, TCDScheduler

from armature.errors import RecipeError
from armature.generation.samplers import SAMPLERS, find_sampler, make_scheduler, sampler_name

# Stable Diffusion 2 at 768 px, as its folder says.
OWN = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": "v_prediction"}


@pytest.mark.parametrize("spelling", ["dpm++2m-karras", "DPM++ 2M Karras", "dpm++_2m_karras"])
def test_our_spelling_and_that_of_other_tools_mean_the_same(spelling):
    assert find_sampler(spelling).name == "dpm++2m-karras"


def test_an_unknown_sampler_names_the_nearest():
    with pytest.raises(RecipeError, match=r"Unknown sampler 'eulr'; known samplers: ddim, .* Did you mean 'euler'\?"):
        find_sampler("eulr")


@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_schedule_and_prediction_type_are_the_models_own(name):
    own = PNDMScheduler(**OWN, skip_prk_steps=True, steps_offset=1)
    made = make_scheduler(own, SAMPLERS[name])
    assert {key: made.config[key] for key in OWN} == OWN
    assert sampler_name(made) == name
    assert own.config.skip_prk_steps is True


def test_a_switch_back_is_not_left_with_the_other_samplers_options():
    karras = make_scheduler(EulerDiscreteScheduler(**OWN), SAMPLERS["euler-karras"])
    assert sampler_name(make_scheduler(karras, SAMPLERS["euler"])) == "euler"


def test_stable_diffusions_offset_and_clipping_stand_in_where_the_model_says_nothing():
    own = LCMScheduler.from_config({"_class_name": "EulerDiscreteScheduler", **OWN})
    bare = type("Own", (), {"config": {key: own.config[key] for key in OWN}})()
    made = make_scheduler(bare, SAMPLERS["ddim"])
    assert isinstance(made, DDIMScheduler)
    assert (made.config.steps_offset, made.config.clip_sample) == (1, False)


def test_a_scheduler_that_is_none_of_ours_is_kept_and_called_by_its_class():
    own = TCDScheduler(**OWN)
    made = make_scheduler(own, None)
    assert made is not own
    assert sampler_name(made) == "TCDScheduler"
