"""From a recipe to base and adapter: what fits, what does not, and starting from another adapter."""

import pytest
import torch

from armature.adapters.save import save_adapter
from armature.checkpoints.load import load_adapter
from armature.errors import CheckpointError, RecipeError
from armature.training.recipe.load import load_recipe
from armature.training.setup import base_place, set_up


def setup_of(recipe, *overrides):
    return set_up(load_recipe(recipe, overrides), device="cpu")


def test_the_adapter_takes_the_widths_of_the_bases_own_unet(small_recipe, base_folders):
    setup = setup_of(small_recipe)
    assert setup.adapter.spec.channels == (16, 16, 32)
    assert (setup.adapter.spec.network, setup.adapter.spec.in_channels, setup.stride) == ("full", 1, 8)
    assert (setup.adapter.card.kind, setup.adapter.card.family) == ("canny", "sd")
    assert setup.adapter.training
    assert setup.adapter.dtype == torch.float32
    assert not any(p.requires_grad for p in setup.base.pipeline.unet.parameters())
    assert not any(p.requires_grad for p in setup.base.pipeline.vae.parameters())
    large = setup_of(small_recipe, f"base={base_folders['sdxl']}")
    assert (large.adapter.spec.network, large.adapter.spec.channels) == ("full_xl", (16, 32, 32, 32))
    # SDXL's canny adapters see three channels.
    assert (large.adapter.spec.in_channels, large.stride, large.adapter.card.family) == (3, 16, "sdxl")


def test_the_recipe_decides_the_network(small_recipe):
    setup = setup_of(small_recipe, "kind=color", "network=light", "divisor=8", "adapter.blocks=")
    spec = setup.adapter.spec
    assert (spec.network, spec.blocks, spec.divisor, spec.in_channels) == ("light", 4, 8, 3)
    words = "diffusers' light adapter works at width/4, this one at width/8"
    assert any(note.startswith("Not read by diffusers") and words in note for note in setup.notes), setup.notes
    spec = setup_of(small_recipe, "adapter.blocks=", "channels=3").adapter.spec
    assert (spec.network, spec.blocks, spec.in_channels) == ("full", 2, 3)


def test_the_first_weights_follow_the_seed_and_leave_torchs_own_randomness_alone(small_recipe):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (setup_of(small_recipe, f"seed={seed}").adapter.conv_in.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("base", "network", "usual"), [("sd", "full_xl", "full"), ("sdxl", "full", "full_xl"), ("sdxl", "light", "full_xl")]
)
def test_a_base_and_an_adapter_that_do_not_fit_are_both_named(small_recipe, base_folders, base, network, usual):
    words = (
        rf"The {network} adapter for canny and the base '{base}' \(.*\) do not fit: .* Use adapter.network = '{usual}'"
    )
    with pytest.raises(RecipeError, match=words):
        setup_of(small_recipe, f"base={base_folders[base]}", f"network={network}")


def test_a_divisor_that_does_not_divide_is_named(small_recipe):
    with pytest.raises(RecipeError, match=r"do not fit: .*widths \[16, 16, 32\] are not multiples of the divisor 5"):
        setup_of(small_recipe, "network=light", "divisor=5")


def test_bases_that_cannot_be_opened(small_recipe, tmp_path):
    with pytest.raises(CheckpointError, match="There is no base model 'nowhere'"):
        setup_of(small_recipe, "base=nowhere")


def test_bases_that_cannot_be_trained_on(small_recipe, tmp_path):
    from small_bases import sd_pipeline

    sd_pipeline(in_channels=9).save_pretrained(tmp_path / "inpaint")
    with pytest.raises(RecipeError, match=r"base.model 'inpaint' is an inpainting model \(9 channels\)"):
        setup_of(small_recipe, f"base={tmp_path / 'inpaint'}")
    pipeline = sd_pipeline()
    pipeline.scheduler.register_to_config(prediction_type="flow")
    pipeline.save_pretrained(tmp_path / "flow")
    with pytest.raises(
        RecipeError, match=r"base.model 'flow' cannot be trained on: The base predicts 'flow'; expected one of epsilon"
    ):
        setup_of(small_recipe, f"base={tmp_path / 'flow'}")


def test_precisions(small_recipe):
    assert base_place(load_recipe(small_recipe), "cpu").dtype == torch.float32
    setup = setup_of(small_recipe, "base.precision=bfloat16")
    assert setup.base.pipeline.unet.dtype == torch.bfloat16
    assert setup.precision == torch.bfloat16
    assert setup.adapter.dtype == torch.float32
    assert setup_of(small_recipe, "base.precision=bfloat16", "train.precision=float32").precision == torch.float32
    for key in ("base.precision", "train.precision"):
        with pytest.raises(RecipeError, match=f"{key} is 'float16', in which a CPU cannot train"):
            setup_of(small_recipe, f"{key}=float16")


def test_a_start_of_the_same_kind_is_taken_exactly(small_recipe, base_folders):
    setup = setup_of(small_recipe, "kind=sketch", f"init_from={base_folders['sketch']}", "adapter.blocks=")
    start = load_adapter(base_folders["sketch"])
    assert setup.init_report is not None
    assert not setup.init_report.fresh
    assert not setup.init_report.unused
    for name, tensor in setup.adapter.state_dict().items():
        assert torch.equal(tensor, start.state_dict()[name]), name
    assert setup.adapter.spec == start.spec
    assert setup.notes[0].endswith("(for sketch): 8 of 8 layers taken")


def test_a_start_of_another_kind_gives_all_but_the_stem(small_recipe, base_folders):
    setup = setup_of(small_recipe, "kind=depth", f"init_from={base_folders['sketch']}")
    start, fresh = load_adapter(base_folders["sketch"]), setup_of(small_recipe, "kind=depth")
    assert setup.init_report is not None
    assert setup.init_report.fresh == ("conv_in",)
    assert setup.notes[1:3] == ("initialised anew: conv_in", f"not taken from {base_folders['sketch']}: conv_in")
    for name, tensor in setup.adapter.state_dict().items():
        source = fresh.adapter if name.startswith("conv_in") else start
        assert torch.equal(tensor, source.state_dict()[name]), name
    assert setup.adapter.contract is not None
    assert setup.adapter.contract.kind == "depth"


def test_a_start_with_fewer_blocks_gives_those_it_has(small_recipe, base_folders):
    setup = setup_of(small_recipe, "kind=sketch", f"init_from={base_folders['sketch']}", "adapter.blocks=2")
    start = load_adapter(base_folders["sketch"])
    new, old = setup.adapter.state_dict(), start.state_dict()
    for level in range(3):
        assert torch.equal(new[f"body.{2 * level}.block1.weight"], old[f"body.{level}.block1.weight"])
    assert setup.init_report is not None
    assert setup.init_report.fresh == tuple(f"level {level} block 1 block{n}" for level in range(3) for n in (1, 2))


def test_starts_that_do_not_fit(small_recipe, base_folders, tmp_path):
    with pytest.raises(RecipeError, match="xl_sketch', an adapter for the family sdxl, and the base 'sd' is of the"):
        setup_of(small_recipe, f"init_from={base_folders['xl_sketch']}")
    with pytest.raises(RecipeError, match=r"adapter.init_from is 'nowhere': There is no file or folder 'nowhere'"):
        setup_of(small_recipe, "init_from=nowhere")
    from small_bases import sd_adapter

    from armature.adapters.networks.full import FullSpec
    from armature.adapters.registry import build_adapter

    other = build_adapter(FullSpec(3, (8, 24, 24), blocks=1), sd_adapter().card)
    save_adapter(other, tmp_path / "other")
    words = r"with the widths \[8, 24, 24\], which has no layer in common with .* widths \[16, 16, 32\] .* base 'sd'"
    with pytest.raises(RecipeError, match=words):
        setup_of(small_recipe, f"init_from={tmp_path / 'other'}")
