"""Whatever is handed over in place of an adapter: one error that says what it is, and no code run."""

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from armature.adapters.base import Adapter
from armature.adapters.save import save_adapter
from armature.checkpoints.load import load_adapter
from armature.errors import CheckpointError

Make = Callable[..., Adapter]


def refuses(path: Path, message: str, **options: Any) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_adapter(path, **options)


def test_empty_file(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.pth"):
        (tmp_path / name).touch()
        refuses(tmp_path / name, f"{tmp_path}/{name} is empty; expected weights. Download or save it again.")


def test_truncated_safetensors(make: Make, tmp_path: Path) -> None:
    save_file(make("full").state_dict(), whole := tmp_path / "whole.safetensors")
    content = whole.read_bytes()
    cut = tmp_path / "cut.safetensors"
    for size in (5, 100, len(content) // 2, len(content) - 1):
        cut.write_bytes(content[:size])
        refuses(cut, f"{cut} is truncated: {size} bytes")


def test_huge_header(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{" + b" " * 64)
    refuses(path, f"announces a header of {2**62} bytes; a safetensors header has at most 100000000")


@pytest.mark.parametrize("header", [b"[]", b"{not json", b'{"a": 1}', b'{"a": {"data_offsets": "x"}}'])
def test_header_that_is_none(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    refuses(path, "has no readable safetensors header; expected .safetensors, .pth, .pt or .bin weights")


def test_overlapping_tensors(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    header = json.dumps({"a": entry, "b": entry}).encode()
    path = tmp_path / "overlap.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    refuses(path, "is a damaged safetensors file")


def test_no_tensors(tmp_path: Path) -> None:
    save_file({}, tmp_path / "none.safetensors")
    refuses(tmp_path / "none.safetensors", "holds no tensors; expected the weights of an adapter")


class Harm:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("name", ["harm.pth", "harm.safetensors", "harm.bin"])
def test_pickle_that_runs_code_runs_nothing(make: Make, tmp_path: Path, name: str, new_format: bool) -> None:
    content = {"state_dict": make("full_1ch").state_dict(), "extra": Harm(tmp_path / "harmed")}
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=new_format)
    refuses(tmp_path / name, "is a pickle that wants to run code or build other objects than tensors (")
    refuses(
        tmp_path / name,
        ".mkdir); expected weights only, and nothing was run. Get it as .safetensors, or save its state_dict alone.",
    )
    assert not (tmp_path / "harmed").exists()


def test_truncated_torch_file(make: Make, tmp_path: Path) -> None:
    for new_format in (True, False):
        torch.save(make("full").state_dict(), whole := tmp_path / "w.pth", _use_new_zipfile_serialization=new_format)
        (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:3000])
        refuses(tmp_path / "cut.pth", "is a damaged torch file (")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer, not the weights"),
        (b"\n<!DOCTYPE html><html>", "is a web page; expected weights"),
        (b"hello, this is no weight file at all", "announces a header of"),
    ],
)
def test_stand_ins_for_weights(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    refuses(tmp_path / "a.safetensors", message)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_finite_weights(make: Make, tmp_path: Path, value: float) -> None:
    state = make("full").state_dict()
    state["body.1.block1.bias"][2] = value
    save_file(state, tmp_path / "nan.safetensors")
    refuses(tmp_path / "nan.safetensors", "holds NaN or infinite weights in 1 tensors (body.1.block1.bias...)")


def test_quantised_weights(make: Make, tmp_path: Path) -> None:
    state = make("full").state_dict()
    state["conv_in.weight"] = state["conv_in.weight"].to(torch.int8)
    save_file(state, tmp_path / "int.safetensors")
    refuses(tmp_path / "int.safetensors", "holds conv_in.weight as int8; expected float16, bfloat16, float32 or")


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        (
            ["style_embedding", "proj", "transformer_layes.0.ln_1.weight"],
            "has the keys of an adapter, but no network fits",
        ),
        (
            ["task_embedding", "seq_proj"],
            "has the keys of an adapter, but no network fits its shapes: the stem is [1];",
        ),
        (["control_model.input_hint_block.0.weight"], "is a ControlNet"),
        (["controlnet_cond_embedding.conv_in.weight", "down_blocks.0.resnets.0.conv1.weight"], "is a ControlNet"),
        (["unet.down_blocks.0.attentions.0.to_q.lora_A.weight"], "is a LoRA"),
        (["lora_unet_down_blocks_0.lora_up.weight"], "is a LoRA"),
        (["model.diffusion_model.input_blocks.0.0.weight"], "is a full Stable Diffusion checkpoint"),
        (["down_blocks.0.resnets.0.conv1.weight", "time_embedding.linear_1.weight"], "is a U-Net"),
        (["emb_params"], "is a textual inversion"),
        (
            ["a", "b", "c", "d"],
            "is no adapter that Armature knows: 4 tensors, among them a, b, c; expected one with",
        ),
    ],
)
def test_other_weights_are_called_by_their_name(tmp_path: Path, keys: list[str], what: str) -> None:
    save_file({key: torch.zeros(1) for key in keys}, tmp_path / "other.safetensors")
    refuses(tmp_path / "other.safetensors", f"{tmp_path}/other.safetensors {what}")


def test_ip_adapter_in_two_parts(tmp_path: Path) -> None:
    torch.save({"image_proj": {"w": torch.zeros(1)}, "ip_adapter": {"w": torch.zeros(1)}}, tmp_path / "ip.bin")
    refuses(tmp_path / "ip.bin", "is an IP-Adapter; expected an adapter. Load it into the pipeline with")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list; expected a mapping of names to tensors"),
        ({"epoch": 3}, "holds no weights (mappings inside: none)"),
        ({"a": {"b": {"c": {"d": {"e": {"x": 1}}}}}}, "nests its weights deeper than 4 levels"),
    ],
)
def test_torch_files_without_weights(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "odd.pth")
    refuses(tmp_path / "odd.pth", message)


def test_folders(make: Make, tmp_path: Path) -> None:
    refuses(tmp_path, f"{tmp_path} is a folder without adapter weights; expected diffusion_pytorch_model.safetensors")
    for name in ("a.pth", "b.pth"):
        torch.save({}, tmp_path / name)
    refuses(tmp_path, "it holds a.pth, b.pth: name one of them")
    (tmp_path / "model_index.json").write_text("{}")
    refuses(tmp_path, "is a complete diffusers pipeline; expected an adapter")
    save_adapter(make("full"), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "ControlNetModel"}))
    refuses(tmp_path, "is a ControlNet; expected a folder of class T2IAdapter")
    (tmp_path / "config.json").write_text(json.dumps({"adapter_type": "wide_adapter"}))
    refuses(tmp_path, "config.json describes no adapter: adapter_type is 'wide_adapter', expected one of")
    (tmp_path / "config.json").write_text("{")
    refuses(tmp_path, "config.json is not readable JSON")


def test_shards(tmp_path: Path) -> None:
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": "../secret.safetensors"}}))
    refuses(tmp_path, "points outside its folder (../secret.safetensors)")
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": "one.safetensors"}}))
    refuses(tmp_path, "lists one.safetensors, which are not there; download all 1 shards")
    index.write_text("{}")
    refuses(tmp_path, "has no weight_map")


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    refuses(tmp_path / "no.safetensors", f"There is no file or folder '{tmp_path}/no.safetensors'; expected a path")
    with pytest.raises(CheckpointError, match=r"There is no file or folder 'out/adapter\.safetensors'"):
        load_adapter("out/adapter.safetensors")
    with pytest.raises(CheckpointError, match="There is no file or folder 'sketch'"):
        load_adapter("sketch")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    refuses(
        tmp_path / "run" / "adapter",
        f"There is no adapter in '{tmp_path}/run' yet: its training was not finished. Go on with",
    )
