"""One record a family decides everything that differs between bases."""

import pathlib
import re

import pytest
import small_bases as small
from diffusers import MotionAdapter, UNetMotionModel
from diffusers.schedulers import DDIMScheduler

import armature
from armature.bases.families import FAMILIES, family_named, family_of_file, family_title
from armature.bases.glance import glance_at
from armature.bases.open import open_base
from armature.bases.schedule import NoiseSchedule
from armature.bases.unet import family_of
from armature.errors import CheckpointError, RecipeError
from armature.generation.generate import generate


def test_the_records_are_complete_and_point_at_each_other():
    for key, family in FAMILIES.items():
        assert family.key == key
        assert family.adapters in FAMILIES
        assert FAMILIES[family.adapters].adapters == family.adapters
        assert set(family.pipelines) in (set(), {"text", "image", "inpaint"})


def test_a_family_is_recognised_by_unet_headers_and_tensor_names(bases):
    assert family_of(small.sd_pipeline().unet) is family_named("sd")
    assert family_of(small.xl_pipeline().unet) is family_named("sdxl")
    assert [glance_at(bases[name]).family.key for name in ("sd", "sdxl")] == ["sd", "sdxl"]
    assert glance_at(None).family.key == "sd"
    assert family_of_file(["model.diffusion_model.x", "conditioner.embedders.1.y"]).key == "sdxl"
    assert family_of_file(["model.diffusion_model.x"]).key == "sd"


def test_unknown_families_are_named():
    with pytest.raises(CheckpointError, match="no family of base models 'flux'; expected one of sd, sdxl, motion"):
        family_named("flux")
    assert (family_title("sd"), family_title(None), family_title("sdxl", whole=True)) == (
        "SD 1.x / 2.x",
        "unknown",
        "SDXL",
    )


def test_a_base_that_makes_clips_is_known_and_not_asked_for_pictures():
    from diffusers import AnimateDiffPipeline

    parts = small.sd_pipeline().components
    adapter = MotionAdapter(
        block_out_channels=small.SD_WIDTHS,
        motion_layers_per_block=1,
        motion_num_attention_heads=4,
        motion_norm_num_groups=8,
    )
    names = ("vae", "text_encoder", "tokenizer", "scheduler")
    pipeline = AnimateDiffPipeline(**{name: parts[name] for name in names}, unet=parts["unet"], motion_adapter=adapter)
    assert isinstance(pipeline.unet, UNetMotionModel)
    base = open_base(pipeline)
    assert (base.family.key, base.family.adapters, base.family.makes_clips) == ("motion", "sd", True)
    with pytest.raises(RecipeError, match=r"makes clips \(AnimateDiff, SD 1\.x / 2\.x\)"):
        generate("a", base=base, num_inference_steps=1)


def test_what_is_predicted_comes_from_the_scheduler():
    plain = NoiseSchedule.of(DDIMScheduler(**small.SCHEDULE))
    rescaled = NoiseSchedule.of(
        DDIMScheduler(**small.SCHEDULE, prediction_type="v_prediction", rescale_betas_zero_snr=True)
    )
    assert (plain.prediction, plain.zero_terminal_snr) == ("epsilon", False)
    assert (rescaled.prediction, rescaled.zero_terminal_snr) == ("v_prediction", True)


def test_no_room_asks_for_a_family_by_its_word():
    """Only the records say "sd" or "sdxl"; adapters and conditions, which come before them, hold words as keys."""
    rooms = pathlib.Path(armature.__file__).parent
    owners = {"bases/families.py"}
    for path in rooms.rglob("*.py"):
        place = path.relative_to(rooms).as_posix()
        if place in owners or place.split("/")[0] in ("adapters", "checkpoints", "conditions"):
            continue
        asked = re.findall(r"""(?:==|!=|\bin\b)\s*[(\[{]?\s*["'](?:sd|sdxl|motion)["']""", path.read_text())
        assert not asked, place
