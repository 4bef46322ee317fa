"""For every kind: a map that an adapter learned from is, pixel for pixel, the map that it is given when it is used."""

import io

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

from armature.adapters.base import AdapterCard
from armature.adapters.networks.full import FullSpec
from armature.adapters.registry import build_adapter
from armature.bases.families import family_named
from armature.conditions.contract import InputContract
from armature.conditions.control_map import prepare_control
from armature.conditions.kinds import KINDS, Kind, contract_for, find_kind
from armature.conditions.pose.drawing import draw_keypose, draw_pose
from armature.conditions.pose.pose import Joint, Pose
from armature.conditions.registry import register, unregister
from armature.data.encoding.batch import control_tensor, stack_controls
from armature.data.samples.dataset import open_dataset
from armature.data.settings import DataSettings
from armature.generation.controls import resolve_controls
from armature.generation.models import Models
from armature.injection.attach import attach
from armature.injection.control import Control
from armature.toyworld.palette import SEG_TABLE

SIZE = 128
FROM = [(64, 64), (96, 96), (128, 128), (200, 200), (256, 256)]


def tones(size, channels, seed=0):
    """Smooth tones of a picture, (h, w[, 3]) uint8."""
    width, height = size
    few = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(few).resize(size, Image.Resampling.BICUBIC))
    return smooth if channels == 3 else smooth[..., 0].reshape(height, width)


def drawn(kind, size):
    """A map of a kind as its extractors draw it."""
    width, height = size
    places = [(0.2 + 0.035 * i, 0.1 + 0.8 * ((i * 7) % 18) / 18) for i in range(18)]
    joints = [Joint(x * width, y * height) for x, y in places]
    if kind == "openpose":
        return np.asarray(draw_pose(Pose(tuple(joints)), size))
    if kind == "keypose":
        return np.asarray(draw_keypose([joints[:17]], size))
    rng = np.random.default_rng(1)
    if kind == "seg":
        rows, columns = np.arange(height) * 7 // height, np.arange(width) * 7 // width
        return SEG_TABLE[rng.integers(1, len(SEG_TABLE), (7, 7))][rows][:, columns]
    if kind == "color":
        rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
        return rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)[rows][:, columns]
    if find_kind(kind).content == "line":
        lines = np.zeros((height, width), np.uint8)
        lines[height // 3], lines[:, width // 4 : width // 4 + 2] = 255, 255
        if kind in ("lineart", "softedge"):
            lines = np.maximum(lines, np.where(tones(size, 1) > 200, 90, 0)).astype(np.uint8)
        return lines
    return tones(size, 1 if kind == "depth" else 3)


def learned(folder, kind, contract, pixels):
    """What a training step sees of a folder's map, (1, c, SIZE, SIZE)."""
    for name in ("pictures", "maps"):
        (folder / name).mkdir()
    Image.fromarray(tones(pixels.shape[1::-1], 3, seed=5)).save(folder / "pictures" / "a.png")
    Image.fromarray(pixels).save(folder / "maps" / "a.png")
    (folder / "pictures" / "a.txt").write_text("a thing")
    settings = DataSettings(
        source=str(folder / "pictures"), conditions="../maps", resolution=SIZE, bucket_step=0, held_out=0,
        flip="never", crop="centre",
    )  # fmt: skip
    data = open_dataset(settings, kind=kind, contract=contract, family=family_named("sd"), stride=8, seed=0)
    maps = torch.from_numpy(stack_controls([data.load(0).control]))
    return control_tensor(maps, contract, torch.device("cpu"))


def small_adapter(kind, contract):
    spec = FullSpec(contract.channels, (16, 16, 32), blocks=1)
    return build_adapter(spec, AdapterCard(kind=kind, family="sd", contract=contract))


def small_unet():
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 16, 32), layers_per_block=1, cross_attention_dim=32,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=8, norm_num_groups=8,
    )  # fmt: skip


def attached(adapter, picture, size=(SIZE, SIZE)):
    """What the adapter receives when it is attached to a U-Net that draws pictures of (width, height) pixels."""
    seen = []
    hook = adapter.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    unet = small_unet()
    with torch.no_grad(), attach(unet, Control(adapter, picture)):
        unet(torch.zeros(1, 4, size[1] // 8, size[0] // 8), torch.tensor(1), torch.zeros(1, 3, 32))
    hook.remove()
    return seen[0]


def used(adapter, kind, picture):
    """What `generate` gives the adapter for a picture of SIZE x SIZE pixels."""
    (control,) = resolve_controls([(kind, picture)], Models(adapters={kind: adapter}, device="cpu"))
    return control.seen((SIZE, SIZE)).tensor


@pytest.mark.parametrize("size", FROM)
@pytest.mark.parametrize("family", ["sd", "sdxl"])
@pytest.mark.parametrize("kind", KINDS.names())
def test_training_generate_and_attach_see_the_same_pixels(tmp_path, kind, family, size):
    source = "embedded:seg" if kind == "seg" else None
    contract = contract_for(kind, family=family, source=source)
    pixels = drawn(kind, size)
    taught = learned(tmp_path, kind, contract, pixels)
    adapter = small_adapter(kind, contract)
    path = tmp_path / "maps" / "a.png"
    for picture in (path, Image.fromarray(pixels), pixels):
        assert torch.equal(used(adapter, kind, picture), taught)
        assert torch.equal(attached(adapter, picture), taught)


@pytest.mark.parametrize("kind", KINDS.names())
def test_width_is_width_wherever_a_size_is_given(kind):
    """A map that is wider than high, used at another size: columns stay columns."""
    pixels = drawn(kind, (96, 48))
    adapter = small_adapter(kind, contract_for(kind, source="embedded:seg" if kind == "seg" else None))
    (control,) = resolve_controls([(kind, pixels)], Models(adapters={kind: adapter}, device="cpu"))
    seen = control.seen((SIZE, SIZE // 2)).tensor
    assert tuple(seen.shape[2:]) == (SIZE // 2, SIZE)
    assert torch.equal(attached(adapter, pixels, (SIZE, SIZE // 2)), seen)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["depth", "grey", "tile", "lineart", "canny"])
def test_maps_of_other_channels_are_reduced_or_repeated_alike(tmp_path, kind, channels):
    contract = contract_for(kind, in_channels=channels)
    pixels = drawn(kind, (90, 90))
    coloured = pixels if pixels.ndim == 3 else np.stack([pixels, pixels // 2, pixels // 3], axis=-1)
    taught = learned(tmp_path, kind, contract, coloured)
    assert torch.equal(prepare_control(coloured, contract, size=(SIZE, SIZE)).tensor, taught)


def test_a_map_of_more_than_eight_bits_keeps_them():
    fine = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    seen = prepare_control(fine, contract_for("depth"), size=(SIZE, SIZE)).tensor
    assert len(seen.unique()) > 256
    file = io.BytesIO()
    Image.fromarray((fine * 65535).astype(np.uint16)).save(file, "PNG")
    assert len(prepare_control(Image.open(file), contract_for("depth")).tensor.unique()) > 256


def test_a_palette_map_of_64_colours_keeps_them_in_use():
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    small = colours.repeat(8, 0).repeat(8, 1)
    seen = prepare_control(small, contract_for("color"), size=(SIZE, SIZE)).tensor
    wanted = torch.from_numpy(colours.repeat(16, 0).repeat(16, 1)).permute(2, 0, 1)[None]
    assert torch.equal((seen * 255).round().to(torch.uint8), wanted)


def test_a_kind_of_ones_own_is_resized_as_its_record_says(tmp_path):
    mine = Kind("parts", "one colour per part", InputContract("parts", 3, "RGB"), content="label")
    register(mine)
    try:
        pixels = drawn("color", (64, 64))
        taught = learned(tmp_path, "parts", mine.contract, pixels)
        seen = prepare_control(pixels, mine.contract, size=(SIZE, SIZE)).tensor
    finally:
        unregister(mine)
    assert torch.equal(seen, taught)
    assert len(seen[0].flatten(1).T.unique(dim=0)) == 64
