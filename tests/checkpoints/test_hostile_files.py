"""Files made to do harm, or by programs gone wrong: one error each, and no memory filled."""

import json
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from armature.adapters.base import Adapter
from armature.adapters.save import save_adapter
from armature.bases.tensor_names import tensor_names
from armature.checkpoints.load import load_adapter
from armature.errors import CheckpointError

Make = Callable[..., Adapter]


def refuses(path: Path | str, message: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        load_adapter(path)
    assert len(str(caught.value)) < 1000


def test_an_archive_that_unpacks_to_far_more_is_not_unpacked(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, plain := tmp_path / "plain.pth")
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            target.writestr(part.filename, source.read(part))
        target.writestr("archive/data/9", bytes(64_000_000))
    assert bomb.stat().st_size < 100_000
    refuses(bomb, f"has {bomb.stat().st_size} bytes and unpacks to 64")


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e400", "9" * 5000, "[]", "-5", "null"])
def test_offsets_that_are_no_offsets(tmp_path: Path, number: str) -> None:
    header = f'{{"a": {{"dtype": "F32", "shape": [2], "data_offsets": [0, {number}]}}}}'.encode()
    path = tmp_path / "odd.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(CheckpointError):
        load_adapter(path)


@pytest.mark.parametrize(
    ("tensor", "what"),
    [
        (torch.eye(3).to_sparse(), "a sparse tensor (sparse_coo)"),
        (torch.eye(3, device="meta"), "a tensor without data (meta)"),
        (torch.zeros(1).expand(100_000, 100_000), "a view of [100000, 100000] over 4 bytes"),
    ],
)
def test_tensors_that_are_not_plain(tmp_path: Path, tensor: torch.Tensor, what: str) -> None:
    torch.save({"conv_in.weight": tensor}, tmp_path / "odd.pth")
    refuses(tmp_path / "odd.pth", f"holds conv_in.weight as {what}; expected plain tensors. Save the state_dict anew.")


def test_nested_tensors(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="prototype"):
        nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    torch.save({"conv_in.weight": nested}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError):
        load_adapter(tmp_path / "odd.pth")


@pytest.mark.parametrize("entry", ["spec", "contract", "metadata"])
def test_metadata_deeper_than_any_reader(make: Make, tmp_path: Path, entry: str) -> None:
    path = save_adapter(make("full"), tmp_path / "a.safetensors", layout="original")
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = file.metadata()
    deep = "[" * 100_000 + "]" * 100_000
    save_file(make("full").state_dict(), path, {**header, f"armature.{entry}": deep})
    refuses(path, "has damaged Armature metadata")


@pytest.mark.parametrize(
    "config",
    [
        {"in_channels": float("inf")},
        {"channels": [float("nan")] * 4},
        {"channels": [10**400] * 4},
        {"channels": [10**30] * 4},
        {"channels": 5},
        {"downscale_factor": 10**300},
        {"num_res_blocks": "many"},
        {"_class_name": "ArmatureAdapter", "spec": {"network": "full"}},
        {"_class_name": "ArmatureAdapter", "spec": [1]},
        {"_class_name": "ArmatureAdapter", "spec": {"network": "wide"}},
    ],
    ids=str,
)
def test_configs_with_absurd_numbers(make: Make, tmp_path: Path, config: dict[str, Any]) -> None:
    save_adapter(make("full"), tmp_path)
    # Without our own header, which would be believed first.
    save_file(make("full").state_dict(), tmp_path / "diffusion_pytorch_model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError):
        load_adapter(tmp_path)


def test_a_config_deeper_than_any_reader(make: Make, tmp_path: Path) -> None:
    save_adapter(make("full"), tmp_path)
    (tmp_path / "config.json").write_text("[" * 100_000 + "]" * 100_000)
    refuses(tmp_path, "config.json is not readable JSON")


def test_names_that_no_file_system_has(tmp_path: Path) -> None:
    refuses("a" * 300, "cannot be looked for (File name too long); check the path.")
    refuses(str(tmp_path / ("b" * 5000)), "cannot be looked for (File name too long); check the path.")
    refuses("~nosuchuser/adapter.safetensors", "'~nosuchuser/adapter.safetensors' is in the home of a user who is not")
    refuses("a\0b", "cannot be looked for (embedded null byte); check the path.")


def test_names_of_shards_that_no_file_system_has(tmp_path: Path) -> None:
    index = {"weight_map": {"conv_in.weight": "x" * 300}}
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    refuses(tmp_path, "which are not there; download all 1 shards")


def test_nothing_of_torchs_own_chatter_escapes(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """torch warns of archives that look like its compiled programs, and of prototypes."""
    torch.save({"w": torch.zeros(3)}, plain := tmp_path / "plain.pth")
    with zipfile.ZipFile(plain, "a") as archive:
        archive.writestr("plain/constants.pkl", b"\x80\x02).")
    with pytest.raises(CheckpointError):
        load_adapter(plain)
    torch.save({"conv_in.weight": torch.eye(4).to_sparse()}, plain)
    with pytest.raises(CheckpointError):
        load_adapter(plain)
    assert not recwarn.list


def test_the_names_of_a_base_file_are_read_with_the_same_care(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.ckpt"
    torch.save({"w": torch.zeros(1000)}, plain := tmp_path / "plain.ckpt")
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            target.writestr(part.filename, source.read(part))
        target.writestr("archive/data/9", bytes(64_000_000))
    for path, told in ((bomb, "unpacks to 64"), (tmp_path / "odd.safetensors", "has no readable safetensors header")):
        if not path.exists():
            path.write_bytes(struct.pack("<Q", 9) + b'{"a": NaN')
        with pytest.raises(CheckpointError, match=told):
            tensor_names(path)
    assert tensor_names(plain) == ["w"]
