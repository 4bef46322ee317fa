"""Every container, layout and place that an adapter comes in."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from armature.adapters.base import Adapter
from armature.adapters.save import save_adapter
from armature.checkpoints import sources
from armature.checkpoints.load import load_adapter
from armature.errors import CheckpointError, ConditionError

Make = Callable[..., Adapter]
WEIGHTS = "diffusion_pytorch_model"


def same(loaded: Adapter, adapter: Adapter) -> bool:
    ours, theirs = loaded.state_dict(), adapter.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def diffusers_state(adapter: Adapter) -> dict[str, torch.Tensor]:
    state = adapter.state_dict()
    names = type(adapter).diffusers_names(list(state), adapter.spec)
    return {names[name]: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("network", ["full", "full_1ch", "full_xl", "light", "tiny", "variant"])
def test_bare_safetensors_loads_by_keys_alone(make: Make, tmp_path: Path, network: str) -> None:
    adapter = make(network)
    save_file(adapter.state_dict(), tmp_path / "weights.safetensors")
    loaded = load_adapter(tmp_path / "weights.safetensors")
    assert loaded.spec == adapter.spec
    assert same(loaded, adapter)
    assert loaded.card.family == ("sdxl" if network == "full_xl" else "sd")
    assert loaded.contract is not None
    assert loaded.contract.channels == adapter.spec.in_channels
    assert not loaded.training


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state},
        lambda state: {"anything": {"state_dict": state}},
        lambda state: {"state_dict": state, "global_step": 3, "loss": torch.tensor(1.0)},
        lambda state: {"model": state, "optimizer": {"state": {"exp_avg": torch.zeros(2)}}},
        lambda state: {f"adapter.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": {f"module.adapter.{name}": tensor for name, tensor in state.items()}},
    ],
    ids=["bare", "state_dict", "nested", "with step", "with optimizer", "prefix", "wrapped prefix"],
)
@pytest.mark.parametrize("ending", ["pth", "pt", "bin"])
def test_torch_containers(make: Make, tmp_path: Path, wrap: Callable[[Any], Any], ending: str) -> None:
    adapter = make("full_1ch")
    torch.save(wrap(adapter.state_dict()), tmp_path / f"weights.{ending}")
    assert same(load_adapter(tmp_path / f"weights.{ending}"), adapter)


def test_legacy_torch_format(make: Make, tmp_path: Path) -> None:
    adapter = make("light")
    torch.save(adapter.state_dict(), tmp_path / "weights.pth", _use_new_zipfile_serialization=False)
    assert same(load_adapter(tmp_path / "weights.pth"), adapter)


def test_format_is_told_by_content_not_by_name(make: Make, tmp_path: Path) -> None:
    adapter = make("full_1ch")
    torch.save(adapter.state_dict(), tmp_path / "weights.safetensors")
    assert same(load_adapter(tmp_path / "weights.safetensors"), adapter)


@pytest.mark.parametrize("network", ["full", "full_xl", "light"])
@pytest.mark.parametrize("prefix", [True, False])
def test_diffusers_keys_without_their_folder(make: Make, tmp_path: Path, network: str, prefix: bool) -> None:
    adapter = make(network)
    state = diffusers_state(adapter)
    if not prefix:
        state = {name.removeprefix("adapter."): tensor for name, tensor in state.items()}
    save_file(state, tmp_path / "weights.safetensors")
    loaded = load_adapter(tmp_path / "weights.safetensors")
    assert loaded.spec == adapter.spec
    assert same(loaded, adapter)


@pytest.mark.parametrize("layout", ["single", "bin", "sharded", "sharded bin", "fp16 only"])
def test_diffusers_folders(make: Make, tmp_path: Path, layout: str) -> None:
    adapter = make("light")
    state = diffusers_state(adapter)
    (tmp_path / "config.json").write_text(json.dumps(type(adapter).to_diffusers(adapter.spec)))
    if layout == "bin":
        torch.save(state, tmp_path / f"{WEIGHTS}.bin")
    elif layout.startswith("sharded"):
        ending, save = ("bin", torch.save) if "bin" in layout else ("safetensors", save_file)
        names = sorted(state)
        shards = {"1": names[:5], "2": names[5:]}
        for number, part in shards.items():
            save({name: state[name] for name in part}, tmp_path / f"{WEIGHTS}-{number}.{ending}")
        table = {name: f"{WEIGHTS}-{number}.{ending}" for number, part in shards.items() for name in part}
        (tmp_path / f"{WEIGHTS}.{ending}.index.json").write_text(json.dumps({"weight_map": table}))
    else:
        mark = ".fp16" if layout == "fp16 only" else ""
        save_file(state, tmp_path / f"{WEIGHTS}{mark}.safetensors")
    assert same(load_adapter(tmp_path), adapter)


def test_fp16_variant_beside_the_full_one(make: Make, tmp_path: Path) -> None:
    adapter = make("full")
    save_adapter(adapter, tmp_path)
    save_file({n: t.half() for n, t in diffusers_state(adapter).items()}, tmp_path / f"{WEIGHTS}.fp16.safetensors")
    assert load_adapter(tmp_path).dtype == torch.float32
    assert load_adapter(tmp_path, variant="fp16").dtype == torch.float16
    with pytest.raises(CheckpointError, match="without adapter weights of variant 'bf16'"):
        load_adapter(tmp_path, variant="bf16")


def test_subfolder_and_single_file_folder(make: Make, tmp_path: Path) -> None:
    adapter = make("full_1ch")
    (tmp_path / "sketch").mkdir()
    torch.save(adapter.state_dict(), tmp_path / "sketch" / "some.pth")
    loaded = load_adapter(tmp_path, subfolder="sketch")
    assert same(loaded, adapter)
    assert loaded.card.kind == "sketch"
    with pytest.raises(CheckpointError, match="has no subfolder 'depth'"):
        load_adapter(tmp_path, subfolder="depth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_precision_is_the_files_own_unless_asked(make: Make, tmp_path: Path, dtype: torch.dtype) -> None:
    save_file(make("full_1ch").to(dtype).state_dict(), tmp_path / "weights.safetensors")
    assert load_adapter(tmp_path / "weights.safetensors").dtype == dtype
    assert load_adapter(tmp_path / "weights.safetensors", dtype=torch.float64).dtype == torch.float64


def test_mixed_precision_loads_in_the_widest(make: Make, tmp_path: Path) -> None:
    state = make("full_1ch").state_dict()
    state["conv_in.weight"] = state["conv_in.weight"].half()
    save_file(state, tmp_path / "weights.safetensors")
    assert {p.dtype for p in load_adapter(tmp_path / "weights.safetensors").parameters()} == {torch.float32}


def test_kind_comes_from_user_then_metadata_then_name(make: Make, tmp_path: Path) -> None:
    adapter = make("full_1ch")
    torch.save(adapter.state_dict(), tmp_path / "t2iadapter_canny_sd15v2.pth")
    torch.save(adapter.state_dict(), tmp_path / "mine.pth")
    adapter.card = replace(adapter.card, kind="sketch")
    save_adapter(adapter, tmp_path / "my_depth_adapter")
    assert load_adapter(tmp_path / "t2iadapter_canny_sd15v2.pth").card.kind == "canny"
    assert load_adapter(tmp_path / "mine.pth").card.kind is None
    assert load_adapter(tmp_path / "my_depth_adapter").card.kind == "sketch"
    assert load_adapter(tmp_path / "my_depth_adapter", kind="lineart").card.kind == "lineart"
    with pytest.raises(ConditionError, match="Unknown kind of control 'sketsh'"):
        load_adapter(tmp_path / "mine.pth", kind="sketsh")


def test_published_sdxl_openpose_takes_blue_first(make: Make, tmp_path: Path) -> None:
    save_adapter(make("full_xl"), tmp_path / "t2i-adapter-openpose-sdxl-1.0")
    contract = load_adapter(tmp_path / "t2i-adapter-openpose-sdxl-1.0").contract
    assert contract is not None
    assert contract.order == "BGR"


def test_embedded_adapters_come_from_their_room(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_adapter(make("full_1ch"), tmp_path / "sketch")
    monkeypatch.setattr(sources, "embedded_adapter_path", lambda kind: tmp_path / kind)
    loaded = load_adapter("embedded:sketch")
    assert loaded.card.kind == "sketch"
    assert loaded.card.source == "embedded:sketch"
    with pytest.raises(CheckpointError, match="embedded:depth has no weights at"):
        load_adapter("embedded:depth")
