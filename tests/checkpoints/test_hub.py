"""Hub ids go through the hub's own cache, and never need the network for what is cached."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from armature import hub
from armature.adapters.base import Adapter
from armature.adapters.save import save_adapter
from armature.checkpoints.load import load_adapter
from armature.errors import CheckpointError

Make = Callable[..., Adapter]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, offline."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def put(cache: Path, repo: str, revision: str = "main") -> Path:
    """Make a cached snapshot and return its folder."""
    root = cache / f"models--{repo.replace('/', '--')}"
    commit = f"{len(revision):040x}"
    (root / "refs").mkdir(parents=True, exist_ok=True)
    (root / "refs" / revision).write_text(commit)
    (snapshot := root / "snapshots" / commit).mkdir(parents=True)
    return snapshot


def test_cached_diffusers_folder_with_subfolder_and_revision(make: Make, cache: Path) -> None:
    save_adapter(make("full_1ch"), put(cache, "TencentARC/t2iadapter_sketch_sd15v2"))
    save_adapter(make("full"), put(cache, "someone/adapters", "v1.0") / "depth")
    sketch = load_adapter("TencentARC/t2iadapter_sketch_sd15v2")
    assert (sketch.card.kind, sketch.spec.in_channels) == ("sketch", 1)
    assert sketch.contract is not None
    assert sketch.contract.binarize == 0.5
    for options in ({"subfolder": "depth"}, {}):
        source = "someone/adapters" if options else "someone/adapters/depth"
        assert load_adapter(source, revision="v1.0", **options).card.kind == "depth"  # type: ignore[arg-type]


def test_one_file_of_a_repository(make: Make, cache: Path) -> None:
    (models := put(cache, "TencentARC/T2I-Adapter") / "models").mkdir()
    torch.save(make("light").state_dict(), models / "t2iadapter_color_sd14v1.pth")
    adapter = load_adapter("TencentARC/T2I-Adapter/models/t2iadapter_color_sd14v1.pth")
    assert (adapter.card.kind, adapter.spec.network) == ("color", "light")


def test_the_missing_part_of_a_cached_repository_is_named(make: Make, cache: Path) -> None:
    save_adapter(make("full"), folder := put(cache, "someone/depth"))
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"is in the hub's cache only in part: config\.json is there"):
        load_adapter("someone/depth")


@pytest.mark.parametrize("source", ["nobody/nothing", "nobody/nothing/models/a.pth"])
def test_unknown_id_offline(cache: Path, source: str) -> None:
    with pytest.raises(
        CheckpointError, match=r"nobody/nothing.* is no file or folder here, is not in the hub's cache, and"
    ):
        load_adapter(source)
    assert not cache.exists() or not any(cache.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RepositoryNotFoundError, "neither a file or folder here nor a public repository on the hub"),
        (GatedRepoError, "is open only to those who accepted its licence"),
        (RevisionNotFoundError, "has no revision 'v9'; leave it out, or name a branch, tag or commit"),
    ],
)
def test_what_the_hub_answers(monkeypatch: pytest.MonkeyPatch, error: type[Exception], message: str) -> None:
    def answer(*_: Any, **__: Any) -> str:
        raise error.__new__(error)

    monkeypatch.setattr(hub, "unreachable", lambda: False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    with pytest.raises(CheckpointError, match=message):
        load_adapter("owner/name", revision="v9")


def test_repository_with_one_weight_file_or_several(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.errors import EntryNotFoundError

    def download(_: str, name: str, **__: Any) -> str:
        if not (tmp_path / name).exists():
            raise EntryNotFoundError.__new__(EntryNotFoundError)
        return str(tmp_path / name)

    torch.save(make("full").state_dict(), tmp_path / "one.pth")
    monkeypatch.setattr(hub, "unreachable", lambda: False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda *_, **__: [p.name for p in tmp_path.iterdir()])
    assert load_adapter("owner/name").spec.network == "full"
    shutil.copy(tmp_path / "one.pth", tmp_path / "two.pth")
    with pytest.raises(CheckpointError, match=r"owner/name has no adapter weights on the hub; expected .* it holds"):
        load_adapter("owner/name")
