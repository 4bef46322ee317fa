"""Who reads an adapter's files, and who does not, is said before anybody finds out the hard way."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.networks.light import LightSpec
from armature.adapters.readers import PROGRAMS, reader_notes, reader_table
from armature.adapters.registry import build_adapter, network_of
from armature.adapters.save import save_adapter
from armature.adapters.spec import AdapterSpec

GUESSING = "ComfyUI and the A1111 extension"


def notes(spec: AdapterSpec, layout=None) -> str:
    return " ".join(reader_notes(network_of(spec).readers(spec), layout))


@pytest.mark.parametrize("spec", [FullSpec(1), FullSpec(3, (64, 128, 256, 256)), FullXLSpec(3), FullXLSpec(1)])
def test_published_full_networks_are_read_by_all(spec: AdapterSpec) -> None:
    assert notes(spec) == notes(spec, "diffusers") == ""
    assert set(reader_table(network_of(spec).readers(spec), "diffusers").values()) == {"yes"}


def test_one_file_is_not_a_folder() -> None:
    assert notes(FullSpec(1), "original") == (
        "Not read by diffusers and InvokeAI: it reads adapters as a diffusers folder only; convert it."
    )


def test_the_colour_adapter_is_read_by_name_guessers_in_one_layout_only() -> None:
    assert notes(LightSpec()) == ""
    assert notes(LightSpec(), "diffusers") == (
        f"Not read by {GUESSING}: it reads light adapters in the original layout only; convert it."
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (FullSpec(1, blocks=3), "3 blocks a level where it builds 2"),
        (FullSpec(1, (320, 640, 1280, 640)), "widths [320, 640, 1280, 640] where it builds c, 2c, 4c, 4c"),
        (FullSpec(12), "12 channels at stride 8, by which it mistakes the network"),
        (FullXLSpec(2), "2 channels at stride 16, by which it mistakes the network"),
        (FullXLSpec(3, blocks=1), "1 block a level where it builds 2"),
        (LightSpec(3, blocks=2), "2 blocks a level where it builds 4"),
        (LightSpec(3, (64, 128, 256, 256)), "widths [64, 128, 256, 256] / 4 where it builds"),
    ],
)
def test_unusual_numbers_are_told_for_every_program_that_guesses(spec: AdapterSpec, why: str) -> None:
    table = reader_table(network_of(spec).readers(spec), "original")
    assert why in table["ComfyUI"]
    assert why in table["the A1111 extension"]
    assert table["the A1111 extension"].endswith("and it may load it wrong without a word")
    assert why in notes(spec)


def test_a_light_adapter_of_one_channel_is_a_trap_in_one_program_alone() -> None:
    table = reader_table(network_of(LightSpec(1)).readers(LightSpec(1)), "original")
    assert table["ComfyUI"] == "yes"
    assert "1 channel where it gives 3" in table["the A1111 extension"]


def test_what_diffusers_cannot_build_is_read_by_none_of_those_that_use_it() -> None:
    table = reader_table(network_of(LightSpec(divisor=8)).readers(LightSpec(divisor=8)), "diffusers")
    assert (
        table["diffusers"]
        == table["InvokeAI"]
        == ("no: diffusers' light adapter works at width/4, this one at width/8")
    )


@pytest.mark.parametrize("layout", ["diffusers", "original"])
def test_the_files_say_it(tmp_path: Path, layout) -> None:
    adapter = build_adapter(FullSpec(1, (8, 16, 32, 32), blocks=1))
    path = save_adapter(adapter, tmp_path / "a.safetensors", layout=layout)
    file = path if layout == "original" else path / "diffusion_pytorch_model.safetensors"
    with safe_open(file, "pt") as opened:
        table = json.loads(opened.metadata()["armature.readers"])
    assert set(table) == set(PROGRAMS)
    assert table["ComfyUI"].startswith("no: it has 1 block a level")
    assert (table["diffusers"] == "yes") == (layout == "diffusers")


def test_an_adapter_saves_itself(tmp_path: Path) -> None:
    from armature import load_adapter

    adapter = build_adapter(FullSpec(1, (8, 8)))
    loaded = load_adapter(adapter.save_pretrained(tmp_path / "mine"))
    assert loaded.spec == adapter.spec
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), adapter.parameters(), strict=True))
