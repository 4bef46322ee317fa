"""What the learned extractors share: where weights come from, where they run, and what to say without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from armature import hub
from armature.conditions.extractor import Option, Weights
from armature.errors import ConditionError
from armature.quiet import quiet_loading

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import nn

Task = Literal["depth", "seg", "detection", "pose", "vision"]

DEVICE = Option("device", "auto", "where the network runs: auto, cpu, cuda, cuda:1, mps...")
PRECISION = Option(
    "precision", "float32", "numbers the network computes in", choices=("float32", "bfloat16", "float16")
)


def torch_device(name: str) -> torch.device:
    """The device of a name; "auto" is the first accelerator, or the CPU. Raises ConditionError for an unknown one."""
    import torch

    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConditionError(f"Device {name!r} cannot be used ({reason}); try device='auto' or 'cpu'.") from error
    return device


class AbsentWeightsError(ConditionError):
    """Weights that an extractor needs are not here: no picture will fare better than the first."""


_CUT_OFF = "not in the hub's cache, and the hub cannot be reached or offline mode is on"


def absent(weights: Weights, offline: str | None, reason: str, option: str) -> AbsentWeightsError:
    """The error for weights that are not here: what, how large, where they go, and what works without."""
    without = f" Without weights, extractor {offline!r} works." if offline else ""
    return AbsentWeightsError(
        f"The weights {weights.source!r} ({weights.megabytes:g} MB, {weights.licence}) are not on this machine "
        f"({reason}). Get them from {weights.home}: online they go into the Hugging Face cache by themselves; "
        f"offline, copy them here and pass {option}=PATH.{without}"
    )


def load_model(
    task: Task,
    source: str,
    device: str,
    precision: str,
    *,
    weights: Weights,
    offline: str | None,
    option: str = "model",
) -> tuple[Any, Any]:
    """A transformers model in evaluation mode and its image processor, from a hub id or a local folder; kept loaded.

    What is cached is used as it is; else the hub is asked, where it answers.
    Raises ConditionError when the weights are neither here nor to be had, or fit no model of the task.
    """
    if source != weights.source:
        weights = Weights(source, 0, f"https://huggingface.co/{source}", "licence on its page")
    if looks_like_a_path(source) and not Path(source).is_dir():
        raise ConditionError(f"No folder of weights at {source!r}; pass {option}=FOLDER or a hub id.")
    here = Path(source).is_dir() or hub.is_cached(source, "config.json")
    if not here and hub.unreachable():
        raise absent(weights, offline, _CUT_OFF, option)
    place = str(torch_device(device))
    try:
        try:
            return _load_model(task, source, place, precision, local=here)
        except (OSError, ValueError, KeyError):
            # A cached repository may lack a part.
            if not here or Path(source).is_dir() or hub.unreachable():
                raise
            return _load_model(task, source, place, precision, local=False)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if Path(source).is_dir():
            raise ConditionError(f"The folder {source!r} holds no usable {task} model ({reason}).") from error
        raise absent(weights, offline, reason, option) from error


def looks_like_a_path(source: str) -> bool:
    """Whether a text can only be a path, never a hub id of the form owner/name."""
    return source.startswith(("/", ".", "~")) or source.count("/") > 1 or "\\" in source


@lru_cache(maxsize=4)
@quiet_loading()
def _load_model(task: Task, source: str, device: str, precision: str, *, local: bool) -> tuple[Any, Any]:
    import torch
    import transformers

    classes: Mapping[Task, Any] = {
        "depth": transformers.AutoModelForDepthEstimation,
        "seg": transformers.AutoModelForSemanticSegmentation,
        "detection": transformers.AutoModelForObjectDetection,
        "pose": transformers.VitPoseForPoseEstimation,
        "vision": transformers.CLIPVisionModel,
    }
    model = classes[task].from_pretrained(source, dtype=getattr(torch, precision), local_files_only=local)
    # ViTPose's own processor needs SciPy; find_people does its work.
    processor = None
    if task != "pose":
        processor = transformers.AutoImageProcessor.from_pretrained(source, local_files_only=local)
    return model.eval().requires_grad_(False).to(device), processor


def pixel_values(processor: Any, picture: Image.Image, model: Any) -> torch.Tensor:
    """The picture as the model's own processor prepares it: (1, 3, h, w) on the model's device, in its precision."""
    found = processor(images=picture.convert("RGB"), return_tensors="pt")
    return found["pixel_values"].to(device=model.device, dtype=model.dtype)


def load_network(
    build: Callable[[], nn.Module],
    path: str | None,
    device: str,
    *,
    weights: Weights,
    offline: str | None,
    repository: str = "lllyasviel/Annotators",
) -> nn.Module:
    """One of our own small networks with published weights, in evaluation mode; kept loaded.

    path: a .pth or .safetensors file; None looks into the Hugging Face cache and, online, fetches it.
    Raises ConditionError when the file is absent, cannot be read safely, or holds another network.
    """
    if path is None:
        path = _fetched(repository, weights, offline)
    elif not Path(path).is_file():
        raise absent(weights, offline, f"no file at {path!r}", "weights")
    return _load_network(build, path, str(torch_device(device)))


def _fetched(repository: str, weights: Weights, offline: str | None) -> str:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    cached = hub.is_cached(repository, weights.source)
    if not cached and hub.unreachable():
        raise absent(weights, offline, _CUT_OFF, "weights")
    try:
        return hf_hub_download(repository, weights.source, local_files_only=cached)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise absent(weights, offline, reason, "weights") from error


@lru_cache(maxsize=4)
def _load_network(build: Callable[[], nn.Module], path: str, device: str) -> nn.Module:
    state = read_state(path)
    network = build()
    expected = set(network.state_dict())
    missing, extra = sorted(expected - set(state)), sorted(set(state) - expected)
    if missing or extra:
        raise ConditionError(
            f"{path!r} is not a {type(network).__name__}: {len(missing)} keys are missing (such as {missing[:2]}), "
            f"{len(extra)} are foreign (such as {extra[:2]})."
        )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:  # sizes differ
        raise ConditionError(f"{path!r} does not fit a {type(network).__name__}: {error}") from error
    return network.float().eval().requires_grad_(False).to(device)


def read_state(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors or .pth file, without wrappers: "state_dict" and a common "module." prefix go.

    Nothing in a .pth file is executed. Raises ConditionError when it cannot be read so.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.endswith(".safetensors"):
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConditionError(f"{path!r} cannot be read as weights ({reason}).") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ConditionError(f"{path!r} holds no plain state dict of tensors.")
    return {key.removeprefix("module."): value for key, value in state.items()}
