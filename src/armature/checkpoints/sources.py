"""Find the files that a source means: a local file or folder, a hub id, or an embedded adapter."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from armature.adapters.save import STEM
from armature.checkpoints.hub import HubFolder
from armature.embedded.paths import embedded_adapter_path
from armature.errors import CheckpointError
from armature.files import local_path
from armature.foreign import read_json

WEIGHT_ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
EMBEDDED = "embedded:"

_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*(/[\w .+-]+)*")


@dataclass(frozen=True)
class Located:
    """The files of one adapter.

    weights: one file, or the shards of one. config: the content of config.json, or None where there is none.
    names: what speaks of the content, best first: the name that the user gave, that of the repository in whose cache
        it lies, the file's own. where: for messages.
    """

    weights: tuple[Path, ...]
    config: Any
    names: tuple[str, ...]
    where: str


class LocalFolder:
    """A folder on disk, with the same face as HubFolder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, name: str) -> Path | None:
        """The path of a file in the folder, or None."""
        path = self.root / name
        return path if os.path.isfile(path) else None  # None also for a name that no file system has

    def weight_names(self) -> list[str]:
        """Names of the weight files directly in the folder."""
        return sorted(path.name for path in self.root.iterdir() if path.suffix in WEIGHT_ENDINGS)

    def missing(self) -> str:
        """Why no weights were found here."""
        return f"{self.root} is a folder without adapter weights"


def locate(
    source: str | Path, *, revision: str | None = None, subfolder: str | None = None, variant: str | None = None
) -> Located:
    """Find the files of a source.

    source: a path; "owner/name" on the hub, or "owner/name/path/file.pth" for one file of a repository; or
    "embedded:kind". revision, subfolder: on the hub; subfolder also in a local folder. variant: "fp16" for
    diffusion_pytorch_model.fp16.safetensors.
    Raises CheckpointError when there is nothing, or more than one adapter.
    """
    text = str(source)
    if text.startswith(EMBEDDED):
        return _in_folder(LocalFolder(_embedded(text.removeprefix(EMBEDDED))), text, variant)
    path = local_path(text, CheckpointError)
    if path.is_dir():
        path = path / subfolder if subfolder else path
        if not path.is_dir():
            raise CheckpointError(f"{source} has no subfolder {subfolder!r}; check its name.")
        return _in_folder(
            LocalFolder(path), str(path.resolve()), variant, _names(path, str(path) if subfolder else text)
        )
    if path.is_file():
        return _single(path, text)
    if path.name == "adapter" and (path.parent / "checkpoints").is_dir():
        raise CheckpointError(
            f"There is no adapter in {str(path.parent)!r} yet: its training was not finished. Go on with "
            "`armature train RECIPE --resume`."
        )
    if not isinstance(source, str) or not _HUB_ID.fullmatch(text) or _looks_local(text):
        raise CheckpointError(
            f"There is no file or folder {text!r}; expected a path, a hub id such as "
            '"TencentARC/t2iadapter_sketch_sd15v2", or "embedded:sketch". Check the spelling.'
        )
    owner, name, *inside = text.split("/")
    repo = f"{owner}/{name}"
    if inside and text.endswith(WEIGHT_ENDINGS):
        folder = HubFolder(repo, revision, "/".join(inside[:-1]))
        if file := folder.get(inside[-1]):
            return Located((file,), None, (text,), text)
        raise CheckpointError(_none_found(folder))
    folder = HubFolder(repo, revision, "/".join([*inside, *([subfolder] if subfolder else [])]))
    return _in_folder(folder, "/".join([text, *([subfolder] if subfolder else [])]), variant)


def _looks_local(text: str) -> bool:
    """Whether a path that does not exist was meant as one: "out/adapter.safetensors" is no repository."""
    return text.count("/") == 1 and text.endswith(WEIGHT_ENDINGS)


def _single(path: Path, text: str) -> Located:
    # Handing over the weight file of a diffusers folder means the folder: its config belongs to it.
    config = path.parent / "config.json"
    if path.name.startswith(STEM):
        names = _names(path.parent, str(path.parent.absolute()))
        return Located((path,), _read_json(config) if config.is_file() else None, names, text)
    return Located((path,), None, _names(path, text), text)


def _names(path: Path, given: str) -> tuple[str, ...]:
    """The names that may speak of what lies at a path: the user's, a cached repository's, and where a link leads."""
    resolved = path.resolve()
    names = [given, str(path.absolute())]
    for place in (path.absolute(), resolved):
        for part, below in pairwise(place.parts):
            if part.startswith("models--") and below in ("snapshots", "blobs"):
                inside = place.parts[place.parts.index(below) + 2 :]
                names.append("/".join([*part.removeprefix("models--").split("--"), *inside]))
                # The subfolder may be called anything; the repository's own name then still counts.
                names.append("/".join(part.removeprefix("models--").split("--")))
    return tuple(dict.fromkeys([*names, str(resolved)]))


def _in_folder(
    folder: LocalFolder | HubFolder, name: str, variant: str | None, names: tuple[str, ...] | None = None
) -> Located:
    config = folder.get("config.json")
    weights = _weights(folder, variant)
    if weights is None:
        if config is None and folder.get("model_index.json"):
            raise CheckpointError(f"{name} is a complete diffusers pipeline; expected an adapter. Give it as the base.")
        weights = _only_file(folder, variant)
    return Located(weights, None if config is None else _read_json(config), names or (name,), name)


def _weights(folder: LocalFolder | HubFolder, variant: str | None) -> tuple[Path, ...] | None:
    """The weights under diffusers' names: the wanted variant, or the plain ones and failing these fp16's."""
    for wanted in (variant,) if variant else (None, "fp16"):
        mark = f".{wanted}" if wanted else ""
        for ending in ("safetensors", "bin"):
            if path := folder.get(f"{STEM}{mark}.{ending}"):
                return (path,)
            if index := folder.get(f"{STEM}.{ending}.index{mark}.json"):
                return _shards(folder, index)
    return None


def _shards(folder: LocalFolder | HubFolder, index: Path) -> tuple[Path, ...]:
    content = _read_json(index)
    table = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(table, dict) or not table:
        raise CheckpointError(f"{index} has no weight_map; expected diffusers' index of shards. Download it again.")
    names = sorted({str(name) for name in table.values()})
    # An index is foreign text; it must not lead out of its folder.
    if outside := [name for name in names if Path(name).name != name]:
        raise CheckpointError(f"{index} points outside its folder ({outside[0]}); expected names of files beside it.")
    paths = {name: folder.get(name) for name in names}
    if absent := [name for name, path in paths.items() if path is None]:
        raise CheckpointError(
            f"{index} lists {', '.join(absent)}, which are not there; download all {len(names)} shards."
        )
    return tuple(path for path in paths.values() if path is not None)


def _only_file(folder: LocalFolder | HubFolder, variant: str | None) -> tuple[Path, ...]:
    names = [] if variant else folder.weight_names()
    if len(names) == 1 and (path := folder.get(names[0])):
        return (path,)
    raise CheckpointError(_none_found(folder, variant))


def _none_found(folder: LocalFolder | HubFolder, variant: str | None = None) -> str:
    reason = folder.missing()
    if isinstance(folder, HubFolder) and folder.unreachable:
        return reason
    wanted = f" of variant {variant!r}" if variant else ""
    names = folder.weight_names()
    advice = f"; it holds {', '.join(names)}: name one of them" if names else ""
    return f"{reason}{wanted}; expected {STEM}.safetensors or a single weight file{advice}."


def _read_json(path: Path) -> Any:
    try:
        return read_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not readable JSON ({error}); download or save it again.") from error


def _embedded(kind: str) -> Path:
    path = embedded_adapter_path(kind)
    if not path.is_dir():
        raise CheckpointError(f"embedded:{kind} has no weights at {path}; install Armature whole.")
    return path
