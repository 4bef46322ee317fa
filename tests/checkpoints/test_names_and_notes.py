"""What the names around a file say is used, and what nobody says is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from armature.adapters.base import Adapter
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.networks.light import LightSpec
from armature.adapters.save import save_adapter
from armature.checkpoints.inspect import inspect
from armature.checkpoints.load import load_adapter
from armature.errors import CheckpointError

Make = Callable[..., Adapter]
HASH = "0123456789abcdef0123456789abcdef01234567"


def foreign(make: Make, folder: Path, which="full_1ch") -> Path:
    """A diffusers folder without our metadata."""
    adapter = make(which)
    folder.mkdir(parents=True)
    names = type(adapter).diffusers_names(list(adapter.state_dict()), adapter.spec)
    save_file(
        {names[name]: t for name, t in adapter.state_dict().items()}, folder / "diffusion_pytorch_model.safetensors"
    )
    (folder / "config.json").write_text(json.dumps(type(adapter).to_diffusers(adapter.spec)))
    return folder


def test_a_snapshot_folder_of_the_hubs_cache_keeps_the_repositorys_kind(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "models--TencentARC--t2iadapter_sketch_sd15v2"
    snapshot = foreign(make, root / "snapshots" / HASH)
    for path in (snapshot, snapshot / "diffusion_pytorch_model.safetensors"):
        loaded = load_adapter(path)
        assert (loaded.card.kind, loaded.contract.binarize, loaded.contract.polarity) == (
            "sketch",
            0.5,
            "white on black",
        )


def test_a_blob_behind_a_snapshots_link_keeps_it_too(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "models--someone--depth-adapter"
    (root / "blobs").mkdir(parents=True)
    save_file(make("full").state_dict(), root / "blobs" / HASH)
    (root / "snapshots" / HASH).mkdir(parents=True)
    (link := root / "snapshots" / HASH / "weights.safetensors").symlink_to(root / "blobs" / HASH)
    assert load_adapter(link).card.kind == "depth"
    assert load_adapter(root / "blobs" / HASH).card.kind == "depth"


def test_the_users_name_for_a_link_comes_first_and_the_files_own_last(make: Make, tmp_path: Path) -> None:
    folder = foreign(make, tmp_path / "t2iadapter_canny_sd15v2")
    (tmp_path / "sketch").symlink_to(folder)
    (tmp_path / "favourite").symlink_to(folder)
    assert load_adapter(tmp_path / "sketch").card.kind == "sketch"
    assert load_adapter(tmp_path / "favourite").card.kind == "canny"


def test_an_unknown_kind_is_said(make: Make, tmp_path: Path) -> None:
    save_file(make("full_1ch").state_dict(), path := tmp_path / "mine.safetensors")
    [note] = load_adapter(path).card.notes
    assert note.startswith("Its kind is unknown, neither the file nor its name tells: maps are taken as they are")
    assert note in inspect(path).notes
    assert load_adapter(path, kind="sketch").card.notes == ()


def test_a_channel_order_that_is_only_assumed_is_said(make: Make, tmp_path: Path) -> None:
    save_file(make(FullXLSpec(3, (8, 8, 8, 8))).state_dict(), path := tmp_path / "my_openpose_sdxl.safetensors")
    adapter = load_adapter(path)
    assert adapter.contract.order == "BGR"
    [note] = [note for note in adapter.card.notes if "order" in note]
    assert note.startswith("Nothing in the file says its channel order: blue, green, red is assumed, as the published")
    saved = load_adapter(save_adapter(adapter, tmp_path / "saved"))
    assert saved.contract.order == "BGR"
    assert not any("order" in note for note in saved.card.notes)


def test_diffusers_light_type_with_four_entries_gives_a_map_that_nothing_takes(tmp_path: Path) -> None:
    from diffusers import T2IAdapter

    T2IAdapter(in_channels=3, channels=[8, 16, 32, 32], num_res_blocks=1, adapter_type="light_adapter").save_pretrained(
        tmp_path / "color"
    )
    adapter = load_adapter(tmp_path / "color")
    assert adapter.spec == LightSpec(3, (8, 16, 32, 32, 32), 1)


def test_a_base_given_as_an_adapter_is_called_one(tmp_path: Path) -> None:
    state = {
        "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 4, 3, 3),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
    }
    save_file(state, tmp_path / "base.safetensors")
    torch.save({"state_dict": state}, tmp_path / "base.ckpt")
    for name in ("base.safetensors", "base.ckpt"):
        with pytest.raises(CheckpointError, match=r"is a full Stable Diffusion checkpoint; .* give it as --base"):
            load_adapter(tmp_path / name)
