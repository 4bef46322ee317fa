"""The frozen model under the adapters: the embedded one, a hub id, a diffusers folder or a single file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from armature.errors import CheckpointError
from armature.generation.place import Place
from armature.generation.settings import public_name
from armature.generation.single_file import SINGLE_FILE_ENDINGS, load_single_file, load_vae
from armature.injection.sites import find_sites

if TYPE_CHECKING:
    import torch

EMBEDDED = "embedded"

# What diffusers' own pipelines use; the embedded model was tuned at its own value.
_GUIDANCE = {"sd": 7.5, "sdxl": 5.0}
_EMBEDDED_GUIDANCE = 5.0


@dataclass(frozen=True, eq=False)
class Base:
    """An opened base model; hand it to `generate` again and again.

    pipeline: a diffusers pipeline that has all its parts. name: how it is recorded. vae: name of the VAE that
    replaced its own, or "". family: "sd" (1.x, 2.x) or "sdxl". embedded: whether it is the shipped one.
    """

    pipeline: Any
    name: str
    vae: str
    family: Literal["sd", "sdxl"]
    embedded: bool

    @property
    def place(self) -> Place:
        """Device and precision of its U-Net; under offloading the device where it runs."""
        return Place(self.pipeline._execution_device, self.pipeline.unet.dtype)

    @property
    def stride(self) -> int:
        """Pixels that one cell of its latent covers, per side."""
        return 2 ** (len(self.pipeline.vae.config.block_out_channels) - 1)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels at which it was trained."""
        cells = self.pipeline.unet.config.sample_size
        height, width = (cells, cells) if isinstance(cells, int) else cells
        return width * self.stride, height * self.stride

    @property
    def inpaints(self) -> bool:
        """Whether its U-Net takes mask and masked picture as extra channels, and cannot do without them."""
        return self.pipeline.unet.config.in_channels == 9

    @property
    def guidance(self) -> float:
        """The guidance scale to use when none is asked for."""
        return _EMBEDDED_GUIDANCE if self.embedded else _GUIDANCE[self.family]


def open_base(
    source: Any = None,
    *,
    vae: str | Path | None = None,
    config: str | Path | None = None,
    place: Place | None = None,
) -> Base:
    """Open a base model.

    source: None or "embedded" for the shipped one; a diffusers folder; a hub id; a .safetensors or .ckpt file of SD
        1.x, SD 2.x or SDXL; a pipeline that is already there, which is used as it is; or a Base.
    vae: an autoencoder instead of the model's own: folder, hub id or single file.
    config: for a single file, a diffusers folder (or hub id) of the same family, of which only the configuration and
        the tokenizer are read; left out, the hub's cache is asked for it.
    place: device and precision; None chooses.
    Raises CheckpointError for anything that is no complete Stable Diffusion model. No code in a file is ever run.
    """
    if isinstance(source, Base):
        return source if vae is None else _checked(_with_vae(source.pipeline, vae), source.name, vae, source.embedded)
    embedded = source is None or source == EMBEDDED
    if config is not None and (embedded or not str(source).lower().endswith(SINGLE_FILE_ENDINGS)):
        raise CheckpointError("A configuration folder belongs to a single-file base; leave it out, or give the file.")
    if not embedded and not isinstance(source, (str, Path)):
        return _checked(source if vae is None else _with_vae(source, vae), type(source).__name__, vae, False)
    place = place or Place.choose(embedded=embedded)
    if embedded:
        pipeline = _embedded(place.dtype)
    elif str(source).lower().endswith(SINGLE_FILE_ENDINGS):
        pipeline = load_single_file(Path(source).expanduser(), config, place.dtype)
    else:
        pipeline = _pretrained(str(source), place)
    if vae is not None:
        pipeline = _with_vae(pipeline, vae)
    base = _checked(pipeline, EMBEDDED if embedded else public_name(source), vae, embedded)
    pipeline.to(device=place.device, dtype=place.dtype)
    return base


def _embedded(dtype: torch.dtype) -> Any:
    try:
        home = import_module("armature.embedded.load")
    except ModuleNotFoundError as error:
        if error.name != "armature.embedded.load":
            raise
        raise CheckpointError(
            "The embedded model is not part of this installation; install Armature whole, or give a base."
        ) from error
    return home.embedded_pipeline(dtype)


def _pretrained(source: str, place: Place) -> Any:
    """A pipeline from a diffusers folder or the hub."""
    from diffusers import DiffusionPipeline

    path = Path(source).expanduser()
    if path.is_file():
        raise CheckpointError(f"{source!r} is no model file; expected {' or '.join(SINGLE_FILE_ENDINGS)}, or a folder.")
    if path.is_dir() and not (path / "model_index.json").is_file():
        raise CheckpointError(
            f"{source!r} is a folder without model_index.json; expected a diffusers pipeline folder, a single "
            "file or a hub id. An adapter goes in with --adapter KIND=REF."
        )
    if not path.is_dir() and (source.count("/") != 1 or source.startswith((".", "/", "~"))):
        raise CheckpointError(
            f"There is no base model {source!r}; expected a diffusers folder, a .safetensors or .ckpt file, a hub id "
            "owner/name, or 'embedded'. Check the spelling."
        )
    try:
        return DiffusionPipeline.from_pretrained(str(path) if path.is_dir() else source, torch_dtype=place.dtype)
    except Exception as error:  # the hub, the disk and a dozen classes raise many kinds here
        raise CheckpointError(f"The base {source!r} cannot be opened: {_first_line(error)}") from error


def _with_vae(pipeline: Any, source: str | Path) -> Any:
    """The same model around another autoencoder; the pipeline itself stays as it is."""
    vae = load_vae(source, pipeline.vae)
    parts = {**pipeline.components, "vae": vae.to(device=pipeline.vae.device, dtype=pipeline.vae.dtype)}
    if "requires_safety_checker" in pipeline.config:
        parts["requires_safety_checker"] = pipeline.config.requires_safety_checker
    return type(pipeline)(**parts)


def _checked(pipeline: Any, name: str, vae: Any, embedded: bool) -> Base:
    parts = getattr(pipeline, "components", None)
    if not isinstance(parts, dict) or not {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= set(parts):
        raise CheckpointError(
            f"The base {name!r} is a {type(pipeline).__name__}; expected a pipeline with a Stable Diffusion U-Net, "
            "VAE, text encoder and tokenizer."
        )
    # diffusers warns about absent parts only in its log; a user needs to know before the first step.
    if absent := [part for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler") if parts[part] is None]:
        raise CheckpointError(f"The base {name!r} lacks its {', '.join(absent)}; download the whole model.")
    channels = parts["unet"].config.in_channels
    if channels not in (4, 9):
        raise CheckpointError(
            f"The U-Net of the base {name!r} takes {channels} channels; expected 4, or 9 for an inpainting model."
        )
    family = "sdxl" if find_sites(parts["unet"]).layout == "sdxl" else "sd"
    return Base(pipeline, name, "" if vae is None else public_name(vae), family, embedded)


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 300 else f"{text[:297]}..."
