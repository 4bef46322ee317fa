"""`convert` loses nothing and overwrites nothing; `inspect` says what a file is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from armature.adapters.base import Adapter
from armature.adapters.save import save_adapter
from armature.checkpoints.convert import convert_checkpoint
from armature.checkpoints.inspect import inspect as inspect_file
from armature.cli.convert import convert
from armature.cli.inspect import inspect
from armature.errors import CheckpointError

Make = Callable[..., Adapter]
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command("inspect")(inspect)
    made.command("convert")(convert)
    return made


def equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        ours[n].dtype == theirs[n].dtype and torch.equal(ours[n], theirs[n]) for n in ours
    )


@pytest.mark.parametrize("network", ["full", "full_1ch", "full_xl", "light"])
def test_round_trip_is_bit_identical(make: Make, tmp_path: Path, network: str) -> None:
    state = make(network).half().state_dict()
    # Precision is kept tensor by tensor, even in a file that mixes them.
    first = next(iter(state))
    state[first] = state[first].float()
    torch.save({"state_dict": state}, tmp_path / "original.pth")
    convert_checkpoint(tmp_path / "original.pth", tmp_path / "folder", to="diffusers")
    convert_checkpoint(tmp_path / "folder", tmp_path / "back.safetensors", to="original")
    convert_checkpoint(tmp_path / "back.safetensors", tmp_path / "again", to="diffusers")
    assert equal(load_file(tmp_path / "back.safetensors"), dict(state))
    assert equal(load_file(tmp_path / "folder" / WEIGHTS), load_file(tmp_path / "again" / WEIGHTS))
    assert not equal(load_file(tmp_path / "folder" / WEIGHTS), dict(state))
    assert (tmp_path / "folder" / "config.json").read_bytes() == (tmp_path / "again" / "config.json").read_bytes()


def test_conversion_keeps_other_tools_metadata(make: Make, tmp_path: Path) -> None:
    save_file(make("full").state_dict(), tmp_path / "canny.safetensors", {"author": "someone"})
    convert_checkpoint(tmp_path / "canny.safetensors", tmp_path / "folder", to="diffusers")
    convert_checkpoint(tmp_path / "folder", tmp_path / "back.safetensors", to="original")
    with safe_open(tmp_path / "back.safetensors", "pt") as file:
        assert json.loads(file.metadata()["armature.metadata"]) == {"author": "someone"}
        assert json.loads(file.metadata()["armature.kind"]) == "canny"


@pytest.mark.parametrize("to", ["diffusers", "original"])
def test_nothing_is_overwritten_without_force(make: Make, tmp_path: Path, to: str) -> None:
    save_adapter(make("full"), source := tmp_path / "source")
    out = tmp_path / ("folder" if to == "diffusers" else "a.safetensors")
    there = out / "config.json" if to == "diffusers" else out
    there.parent.mkdir(exist_ok=True)
    there.write_text("precious")
    with pytest.raises(CheckpointError, match=r"exists already; nothing was written\. Choose another name, or use --f"):
        convert_checkpoint(source, out, to=to)  # type: ignore[arg-type]
    assert there.read_text() == "precious"
    convert_checkpoint(source, out, to=to, force=True)  # type: ignore[arg-type]
    assert inspect_file(out).layout == to


def test_refused_conversions_write_nothing(make: Make, tmp_path: Path) -> None:
    save_adapter(make("tiny"), tmp_path / "tiny")
    with pytest.raises(
        CheckpointError, match=r"no diffusers form: diffusers' light adapter works at width/4, this one at"
    ):
        convert_checkpoint(tmp_path / "tiny", tmp_path / "out", to="diffusers")
    state = make("full").state_dict()
    state["conv_in.bias"][0] = torch.nan
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(CheckpointError, match=r"NaN or infinite weights \(conv_in\.bias\); nothing was written"):
        convert_checkpoint(tmp_path / "nan.safetensors", tmp_path / "out", to="diffusers")
    assert not (tmp_path / "out").exists()
    with pytest.raises(CheckpointError, match="is a file; a diffusers adapter is a folder"):
        convert_checkpoint(tmp_path / "tiny", tmp_path / "nan.safetensors", to="diffusers")
    with pytest.raises(CheckpointError, match="Cannot convert to 'comfy'; expected 'diffusers' or 'original'"):
        convert_checkpoint(tmp_path / "tiny", tmp_path / "out", to="comfy")  # type: ignore[arg-type]


def test_inspection_states_the_facts(make: Make, tmp_path: Path) -> None:
    adapter = make("full_xl").half()
    torch.save(adapter.state_dict(), path := tmp_path / "t2i-adapter-openpose-sdxl.pth")
    found = inspect_file(path)
    assert (found.kind, found.family, found.network) == ("openpose", "sdxl", "full_xl")
    assert found.parameters == sum(parameter.numel() for parameter in adapter.parameters())
    assert (found.takes, found.maps, found.tokens) == ("condition map", (8, 16, 32, 32), None)
    assert (found.structure["in_channels"], found.structure["blocks"], found.structure["stride"]) == (3, 2, 16)
    assert found.contract is not None
    assert (found.contract.order, found.contract.range) == ("BGR", (0.0, 1.0))
    assert (found.format, found.layout, found.dtypes) == ("torch", "original", ("float16",))
    assert found.size == path.stat().st_size
    assert json.loads(json.dumps(found.to_dict()))["contract"]["order"] == "BGR"


def test_inspection_warns_where_loading_would_fail_or_surprise(make: Make, tmp_path: Path) -> None:
    state = make("full_xl").state_dict()
    state["conv_in.bias"][0] = torch.nan
    state["conv_in.weight"] = state["conv_in.weight"].half()
    save_file(state, tmp_path / "odd.safetensors")
    notes = " ".join(inspect_file(tmp_path / "odd.safetensors").notes)
    assert "12 channels at stride 8 (full) have the same keys" in notes
    assert "1 tensors hold NaN or infinity (conv_in.bias...): this file cannot be used." in notes
    assert "The file mixes precisions; it loads in the widest." in notes


def test_inspect_prints_a_table_or_json(app: typer.Typer, make: Make, tmp_path: Path) -> None:
    save_adapter(make("full_1ch"), folder := tmp_path / "sketch")
    table = CliRunner().invoke(app, ["inspect", str(folder)], env={"COLUMNS": "200"})
    assert table.exit_code == 0
    for words in ("sketch", "SD 1.x / 2.x", "white on black", "0 to 1", "safetensors, diffusers keys", "8, 16, 24, 32"):
        assert words in table.output
    answer = json.loads(CliRunner().invoke(app, ["inspect", str(folder), "--json"]).stdout)
    assert (answer["kind"], answer["contract"]["binarize"], answer["structure"]["in_channels"]) == ("sketch", 0.5, 1)


def test_metadata_cannot_style_or_steer_the_terminal(app: typer.Typer, make: Make, tmp_path: Path) -> None:
    save_file(make("full").state_dict(), path := tmp_path / "a.safetensors", {"note": "[/bold] \x1b[2J here"})
    table = CliRunner().invoke(app, ["inspect", str(path)], env={"COLUMNS": "200"})
    assert table.exit_code == 0
    assert "[/bold]  [2J here" in table.output


def test_convert_prints_what_it_wrote(app: typer.Typer, make: Make, tmp_path: Path) -> None:
    save_adapter(make("full_1ch"), folder := tmp_path / "sketch")
    arguments = ["convert", str(folder), str(tmp_path / "a.safetensors"), "--to", "original"]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "a.safetensors"))
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, CheckpointError)
    assert CliRunner().invoke(app, [*arguments, "--force"]).exit_code == 0
