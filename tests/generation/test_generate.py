"""armature.generate on small random models: what it makes, what it records, what it refuses."""

import functools
import json

import numpy as np
import pytest
import small_bases as small
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from PIL import Image, ImageDraw

import armature
from armature.bases.open import open_base
from armature.errors import ArmatureError, AttachError, ConditionError, RecipeError
from armature.generation.controls import ControlRequest
from armature.generation.generate import generate
from armature.generation.samplers import SAMPLERS


@pytest.fixture(scope="module")
def base(bases):
    return open_base(bases["sd"])


@pytest.fixture
def make(base):
    return functools.partial(generate, "a red house", base=base, num_inference_steps=2, seed=5)


def same(one, other):
    return np.array_equal(np.asarray(one), np.asarray(other))


def test_the_name_is_callable_however_the_module_was_imported():
    assert callable(armature.generate)


def test_a_drawn_seed_is_recorded_and_makes_the_picture_again(make):
    first = make(seed=None)
    again = make(seed=first.settings.seed)
    assert same(first.images[0], again.images[0])
    assert first.settings == again.settings


def test_nothing_in_the_settings_is_open(make, pictures):
    record = make([("sketch", pictures["lines"])], adapters={"sketch": small.sd_adapter()}).settings.to_record()
    assert "null" not in json.dumps(record)
    assert record["width"] == record["height"] == 64
    assert record["sampler"] == "ddim"
    assert record["guidance"] == 7.5


def test_picture_k_of_a_row_is_the_single_picture_of_seed_plus_k(make, pictures):
    controls = [("sketch", pictures["lines"], {"end": 0.5})]
    options = {"adapters": {"sketch": small.sd_adapter()}, "sampler": "euler-a"}
    row = make(controls, num_images_per_prompt=3, **options)
    for index, image in enumerate(row.images):
        single = make(controls, seed=5 + index, **options)
        assert same(image, single.images[0])
        assert row.settings.single(index) == single.settings
    assert not same(row.images[0], row.images[1])


def test_a_control_changes_the_picture_and_weight_zero_leaves_it_bit_for_bit(make, pictures):
    plain = make()
    adapter = small.sd_adapter()
    assert not same(plain.images[0], make(armature.Control(adapter, pictures["lines"])).images[0])
    assert same(plain.images[0], make(armature.Control(adapter, pictures["lines"], weight=0)).images[0])


def test_control_request_tuple_and_control_object_mean_the_same(make, pictures, bases):
    adapters = {"scribble": bases["sketch"]}
    options = {"weight": 0.7, "levels": (1, 0.5, 0), "end": 0.5}
    by_tuple = make(("sketch", pictures["lines"], options), adapters=adapters)
    by_request = make([ControlRequest("scribble", pictures["lines"], **options)], adapters=adapters)
    adapter = armature.load_adapter(bases["sketch"])
    by_control = make(armature.Control(adapter, pictures["lines"], **options))
    assert same(by_tuple.images[0], by_request.images[0])
    assert same(by_tuple.images[0], by_control.images[0])
    assert not same(by_tuple.images[0], make().images[0])
    assert by_control.settings == by_tuple.settings


def test_a_drawing_on_paper_is_inverted_and_the_user_is_told(make, pictures):
    adapters = {"sketch": small.sd_adapter()}
    made = make(("sketch", pictures["ink"]), adapters=adapters)
    assert "sketch control: Dark lines on light paper were turned into white lines on black." in made.notes
    assert made.control_maps[0].size == (64, 64)
    assert np.asarray(made.control_maps[0]).mean() < 60
    assert made.report.controls[0].active == (0, 1)


def test_extract_takes_the_map_from_a_picture_first(make, pictures):
    adapters = {"canny": small.sd_adapter(kind="canny")}
    made = make(("canny", pictures["photo"], {"extract": True}), adapters=adapters)
    expected = armature.extract("canny", pictures["photo"])
    assert same(made.control_maps[0], expected)
    assert made.settings.controls[0].extractor == "canny"


def test_the_base_and_its_sampler_stay_as_they_were(make, base, pictures):
    scheduler, config = base.pipeline.scheduler, dict(base.pipeline.scheduler.config)
    hooks = [module for module in base.pipeline.unet.modules() if module._forward_hooks or module._forward_pre_hooks]
    make(("sketch", pictures["lines"]), adapters={"sketch": small.sd_adapter()}, sampler="heun")
    assert base.pipeline.scheduler is scheduler
    assert scheduler.num_inference_steps is None
    assert dict(scheduler.config) == config
    assert hooks == [
        module for module in base.pipeline.unet.modules() if module._forward_hooks or module._forward_pre_hooks
    ]


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_runs_from_one_step_on_and_is_recorded_by_its_name(make, name):
    made = make(sampler=SAMPLERS[name].title, num_inference_steps=2)
    assert made.settings.sampler == name
    assert make(sampler=name, num_inference_steps=1).images[0].size == (64, 64)


def test_progress_counts_to_the_end_and_raising_in_it_leaves_nothing_attached(make, base, pictures):
    seen = []
    make(num_images_per_prompt=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(("sketch", pictures["lines"]), adapters={"sketch": small.sd_adapter()}, progress=stop)
    assert not any(module._forward_pre_hooks for module in base.pipeline.unet.modules())


def test_init_starts_from_the_picture_at_its_own_size(make, tmp_path):
    start = Image.new("RGB", (90, 70), (200, 40, 40))
    made = make(image=start, strength=0.5)
    assert made.images[0].size == (88, 72)
    assert made.settings.mode == "image"
    assert made.settings.init.name == "(given)"
    assert any(note.startswith("init: ") and "88 x 72" in note for note in made.notes)
    assert len(made.report.target) > 0
    assert "Img2Img" in made.report.target


def test_a_start_far_too_large_comes_down_to_the_models_own_number_of_pixels(make):
    assert make(image=Image.new("RGB", (800, 400), (9, 90, 200))).images[0].size == (88, 48 + 16)


def test_inpaint_keeps_every_pixel_outside_the_mask(make, pictures):
    made = make(image=pictures["photo"], mask_image=pictures["mask"], strength=1.0)
    before = np.asarray(Image.open(pictures["photo"]).convert("RGB"))
    after = np.asarray(made.images[0])
    assert made.settings.mode == "inpaint"
    assert np.array_equal(before[:, 32:], after[:, 32:])
    assert not np.array_equal(before[:, :32], after[:, :32])


def test_an_inpainting_base_needs_picture_and_mask(pictures):
    parts = small.sd_pipeline(in_channels=9).components
    pipeline = StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
    made = generate(
        "a", base=pipeline, image=pictures["photo"], mask_image=pictures["mask"], num_inference_steps=2, seed=1
    )
    assert made.settings.base == "StableDiffusionInpaintPipeline"
    with pytest.raises(RecipeError, match="is an inpainting model, which needs a picture and a mask"):
        generate("a", base=pipeline, num_inference_steps=2)


@pytest.mark.parametrize("mode", ["text", "image", "inpaint"])
def test_sdxl_in_every_mode_follows_the_control(bases, pictures, mode):
    options = {
        "text": {"size": (64, 64)},
        "image": {"image": pictures["photo"]},
        "inpaint": {"image": pictures["photo"], "mask_image": pictures["mask"]},
    }[mode]
    run = functools.partial(generate, "a tree", base=bases["sdxl"], num_inference_steps=2, seed=3, **options)
    controlled = run(("sketch", pictures["lines"]), adapters={"sketch": bases["xl_sketch"]})
    assert controlled.settings.family == "sdxl"
    assert controlled.settings.guidance == 5.0
    assert controlled.report.controls[0].active is not None
    assert not same(controlled.images[0], run().images[0])


@pytest.fixture(scope="module")
def embedded():
    """The drawn lines of a house at the embedded base's own size, and what is made of them by default."""
    lines = Image.new("L", (128, 128), 0)
    ImageDraw.Draw(lines).rectangle((30, 50, 90, 110), outline=255, width=2)
    return lines, generate("a red house", ("sketch", lines), num_inference_steps=2, seed=3)


@pytest.mark.parametrize("route", ["pipeline", "img2img pipeline", "folder"])
def test_the_embedded_base_stays_itself_however_it_comes(embedded, route):
    from armature.embedded.paths import embedded_base_path

    lines, expected = embedded
    base = {
        "pipeline": armature.embedded_pipeline,
        "img2img pipeline": lambda: StableDiffusionImg2ImgPipeline(
            **armature.embedded_pipeline().components, requires_safety_checker=False
        ),
        "folder": embedded_base_path,
    }[route]()
    made = generate("a red house", ("sketch", lines), base=base, num_inference_steps=2, seed=3)
    assert made.settings == expected.settings
    assert same(made.images[0], expected.images[0])
    assert (made.settings.base, made.settings.guidance, made.settings.family) == ("embedded", 2.5, "sd")
    assert made.settings.controls[0].adapter == "embedded:sketch"


def test_steps_that_nobody_asked_for_are_those_of_the_base(base):
    assert (base.steps, open_base().steps, open_base().guidance) == (20, 20, 2.5)


def test_a_fresh_generator_is_a_seed_and_a_used_one_is_refused(make):
    generator = torch.Generator().manual_seed(11)
    made = make(seed=None, generator=generator)
    assert made.settings.seed == 11
    assert same(made.images[0], make(seed=11).images[0])
    with pytest.raises(RecipeError, match=r"generator was used before.* seed it anew, or give seed"):
        make(seed=None, generator=generator)
    with pytest.raises(RecipeError, match="seed and generator are given; give one of the two"):
        make(generator=torch.Generator().manual_seed(1))


def test_width_and_height_by_name_are_a_size(make):
    assert make(width=72).images[0].size == (72, 64)
    assert make(width=72, height=80).images[0].size == make(size=(72, 80)).images[0].size == (72, 80)
    with pytest.raises(RecipeError, match="size is given, and width or height"):
        make(size=(64, 64), width=64)


def test_other_names_are_refused_with_the_right_one(make):
    with pytest.raises(RecipeError) as caught:
        generate("a", steps=3, negativ_prompt="b", zebra=1)
    assert str(caught.value) == (
        "generate has no argument 'steps'; it is called 'num_inference_steps' here. generate has no argument "
        "'negativ_prompt'; it is called 'negative_prompt' here. generate has no argument 'zebra'."
    )


def test_an_adapter_that_does_not_fit_is_told_before_the_base_is_read(bases, pictures, monkeypatch):
    import armature.bases.open as opening

    monkeypatch.setattr(opening, "load_pretrained", lambda *_: pytest.fail("the base was read"))
    with pytest.raises(AttachError, match=r"The sketch adapter \(full_xl, made for SDXL\) does not fit"):
        generate("a", ("sketch", pictures["lines"]), base=bases["sd"], adapters={"sketch": bases["xl_sketch"]})


def test_all_wrong_values_are_told_at_once():
    with pytest.raises(RecipeError) as caught:
        generate(
            "a", num_inference_steps=0, guidance_scale=float("nan"), seed=-1, num_images_per_prompt=1.5, strength=2
        )
    assert str(caught.value) == (
        "num_inference_steps is 0, expected a whole number of at least 1; num_images_per_prompt is 1.5, expected a "
        "whole number of at least 1; guidance_scale is nan, expected a number of at least 0; seed is -1, expected a "
        "whole number from 0 to 9007199253740992; strength is 2, expected a number above 0 and up to 1."
    )


def test_a_strength_that_leaves_no_step_says_how_many_it_needs():
    with pytest.raises(RecipeError, match=r"strength 0.1 of 5 steps leaves none to run, expected at least 10 steps"):
        generate("a", image=Image.new("RGB", (64, 64)), strength=0.1, num_inference_steps=5)


def test_a_size_off_the_stride_names_the_nearest(make):
    with pytest.raises(RecipeError) as caught:
        make(size=(100, 64))
    assert str(caught.value) == (
        "size is 100x64; this base makes multiples of 8 px, at least 64: nearest are 96x64 or 104x64."
    )
    assert make(size=(72, 64)).images[0].size == (72, 64)


def test_another_base_needs_an_adapter_by_name(make, pictures):
    with pytest.raises(RecipeError, match=r"No adapter is named for the sketch control.*--adapter sketch=REF"):
        make(("sketch", pictures["lines"]))


def test_an_adapter_without_a_control_is_not_dropped_silently(make, bases):
    with pytest.raises(RecipeError, match="An adapter is named for sketch, and no control is of that kind"):
        make(adapters={"sketch": bases["sketch"]})


def test_an_adapter_of_another_family_raises(make, bases, pictures):
    with pytest.raises(AttachError, match="made for SDXL"):
        make(("sketch", pictures["lines"]), adapters={"sketch": bases["xl_sketch"]})


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (Image.new("L", (64, 64), 0), "The sketch control is all black: it holds no line. Give white lines on black."),
        (Image.new("L", (64, 64), 255), "The sketch control is blank: it holds no line. Give white lines on black."),
        ("nowhere.png", "No picture at 'nowhere.png'."),
    ],
)
def test_controls_that_cannot_be_used(make, image, told):
    with pytest.raises(ConditionError) as caught:
        make(("sketch", image), adapters={"sketch": small.sd_adapter()})
    assert str(caught.value) == told


def test_a_mask_without_a_picture_raises(make, pictures):
    with pytest.raises(ConditionError, match="no picture to paint in; give it as image"):
        make(mask_image=pictures["mask"])
    with pytest.raises(ConditionError, match="inpaint mask is black everywhere"):
        make(image=pictures["photo"], mask_image=Image.new("L", (64, 64), 0))


def test_an_open_base_is_not_moved_behind_its_owners_back(make):
    with pytest.raises(RecipeError, match="leave device and dtype out"):
        make(dtype="float16")


def test_words_beyond_the_text_encoder_are_told(make):
    made = make(negative_prompt="x" * 40, guidance_scale=1.0)
    assert any(note.startswith("The negative prompt is longer than the 14 tokens") for note in made.notes)
    assert "Guidance 1 is none at all: the negative prompt has no effect." in made.notes


def test_a_picture_that_is_not_a_number_raises():
    pipeline = small.sd_pipeline()
    torch.nn.init.constant_(pipeline.vae.decoder.conv_out.bias, float("nan"))
    with pytest.raises(ArmatureError, match="not-a-number: this precision is too narrow"):
        generate("a", base=pipeline, num_inference_steps=1)
