"""Every recipe of the repository loads, and describes an adapter that fits its family."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel

from armature.adapters.registry import build_adapter
from armature.bases.card import BaseCard
from armature.bases.open import Base, open_base
from armature.bases.unet import family_of
from armature.embedded.paths import embedded_adapter_kinds
from armature.injection.sites import find_sites
from armature.training.recipe.describe import recipe_text
from armature.training.recipe.load import load_recipe
from armature.training.setup import adapter_spec, set_up, training_contract

HOME = Path(__file__).parents[3] / "recipes"
RECIPES = sorted(path.relative_to(HOME).as_posix() for path in HOME.rglob("*.toml"))

# The U-Nets of the published models, without their weights.
SD15 = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SDXL = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "transformer_layers_per_block": (1, 2, 10),
    "projection_class_embeddings_input_dim": 2816,
}


@cache
def base_of(name):
    if name == "embedded":
        return open_base("embedded")
    with torch.device("meta"):
        unet = UNet2DConditionModel(**(SDXL if "xl" in name else SD15))
    vae = SimpleNamespace(config=SimpleNamespace(block_out_channels=(128, 256, 512, 512), latent_channels=4))
    return Base(SimpleNamespace(unet=unet, vae=vae), name, "", "", family_of(unet), BaseCard())


def test_every_adapter_that_ships_has_its_recipe():
    assert {f"embedded/{kind}.toml" for kind in embedded_adapter_kinds()} <= set(RECIPES)
    assert {name.partition("-")[0] for name in RECIPES if "/" not in name} == {"sd15", "sdxl"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_loads_and_reads_back_equal(name, tmp_path):
    recipe = load_recipe(HOME / name)
    (tmp_path / "again.toml").write_text(recipe_text(recipe))
    assert load_recipe(tmp_path / "again.toml") == recipe
    assert recipe.adapter.kind in name


@pytest.mark.parametrize("name", RECIPES)
def test_the_adapter_of_a_recipe_fits_its_base(name):
    recipe = load_recipe(HOME / name)
    base = base_of(recipe.base.model)
    assert base.family.key == ("sdxl" if name.startswith("sdxl") else "sd")
    contract = training_contract(recipe.adapter, base)
    spec = adapter_spec(recipe.adapter, base, contract)
    side = recipe.data.resolution
    with torch.device("meta"):
        maps = build_adapter(spec)(torch.empty(1, spec.in_channels, side, side)).maps
    latent = side // base.stride
    wanted = [(site.channels, *site.size((latent, latent))) for site in find_sites(base.pipeline.unet).all]
    assert [tuple(feature.shape[1:]) for feature in maps] == wanted


def test_the_published_sizes():
    sizes = {}
    for name in ("sd15-sketch", "sd15-depth", "sd15-color", "sdxl-sketch"):
        recipe = load_recipe(HOME / f"{name}.toml")
        base = base_of(recipe.base.model)
        spec = adapter_spec(recipe.adapter, base, training_contract(recipe.adapter, base))
        with torch.device("meta"):
            sizes[name] = round(sum(p.numel() for p in build_adapter(spec).parameters()) / 1e6, 2)
    assert sizes == {"sd15-sketch": 77.0, "sd15-depth": 77.37, "sd15-color": 18.69, "sdxl-sketch": 77.55}


def test_the_papers_settings():
    for name in RECIPES:
        recipe = load_recipe(HOME / name)
        train = recipe.train
        total = train.batch * train.accumulate
        found = (train.learning_rate, train.schedule, total, recipe.data.resolution, train.timesteps)
        if name.startswith("sd15"):
            assert found == (1e-5, "constant", 8, 512, "cubic"), name
            assert str(train.length) == "10 epochs", name
        elif name.startswith("sdxl"):
            assert found == (1e-5, "constant", 128, 1024, "cubic"), name
            assert 20_000 <= (train.length.steps(None) or 0) <= 35_000, name
        else:
            assert found == (1e-3, "cosine", 16, 128, "cubic"), name
    assert load_recipe(HOME / "sdxl-sketch.toml").data.extract == {"threshold": (0.3, 0.8)}
    assert load_recipe(HOME / "sd15-color.toml").train.timestep_range == (500, 1000)


def test_the_embedded_canny_recipe_starts_from_the_sketch_adapter():
    setup = set_up(load_recipe(HOME / "embedded" / "canny.toml"), device="cpu")
    assert setup.init_report is not None
    assert "conv_in" in setup.init_report.taken
    assert not setup.init_report.fresh
    assert not setup.init_report.unused
    assert setup.adapter.spec.blocks == 2
    assert setup.contract.binarize == 0.5
