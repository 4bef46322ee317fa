"""The frozen model under the adapters: the embedded one, a hub id, a diffusers folder or a single file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from armature.bases.embedded import embedded_pipeline
from armature.bases.single_file import SINGLE_FILE_ENDINGS, load_single_file, load_vae
from armature.devices import DeviceSpec, precision_argument
from armature.errors import AttachError, CheckpointError
from armature.files import public_name
from armature.injection.sites import find_sites
from armature.quiet import quiet_loading

if TYPE_CHECKING:
    pass

EMBEDDED = "embedded"

# What diffusers' own pipelines use; the embedded model was tuned at its own value.
_GUIDANCE = {"sd": 7.5, "sdxl": 5.0}
# Of 2, 2.5, 3.5, 5 and 7.5 the one at which objects and colours together are right most often.
_EMBEDDED_GUIDANCE = 2.5


@dataclass(frozen=True, eq=False)
class Base:
    """An opened base model; hand it to `generate` again and again.

    pipeline: a diffusers pipeline that has all its parts. name: how it is recorded. vae: name of the VAE that
    replaced its own, or "". config: name of the configuration that a single file was opened with, or "".
    family: "sd" (1.x, 2.x) or "sdxl". embedded: whether it is the shipped one.
    """

    pipeline: Any
    name: str
    vae: str
    config: str
    family: Literal["sd", "sdxl"]
    embedded: bool

    @property
    def place(self) -> DeviceSpec:
        """Device and precision of its U-Net; under offloading the device where it runs."""
        return DeviceSpec(self.pipeline._execution_device, self.pipeline.unet.dtype)

    @property
    def stride(self) -> int:
        """Pixels that one cell of its latent covers, per side."""
        return 2 ** (len(self.pipeline.vae.config.block_out_channels) - 1)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels at which it was trained."""
        cells = self.pipeline.unet.config.sample_size or (128 if self.family == "sdxl" else 64)
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


@quiet_loading()
def open_base(
    source: Any = None,
    *,
    vae: str | Path | None = None,
    config: str | Path | None = None,
    place: DeviceSpec | None = None,
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
    single = isinstance(source, (str, Path)) and str(source).lower().endswith(SINGLE_FILE_ENDINGS)
    if config is not None and not single:
        raise CheckpointError("A configuration folder belongs to a single-file base; leave it out, or give the file.")
    if isinstance(source, Base):
        return source if vae is None else _other_vae(source, vae)
    if source is not None and not isinstance(source, (str, Path)):
        base = _checked(source, type(source).__name__)
        return base if vae is None else _other_vae(base, vae)
    embedded = source is None or source == EMBEDDED
    place = place or DeviceSpec.choose(embedded=embedded)
    if source is None or embedded:
        base = replace(_checked(embedded_pipeline(place.dtype), EMBEDDED), embedded=True)
    elif single:
        base = _checked(load_single_file(Path(source).expanduser(), config, place.dtype), public_name(source))
        base = replace(base, config="" if config is None else public_name(config))
    else:
        base = _checked(_pretrained(str(source), place), public_name(source))
    if vae is not None:
        base = _other_vae(base, vae)
    base.pipeline.to(device=place.device, dtype=place.dtype)
    return base


def _pretrained(source: str, place: DeviceSpec) -> Any:
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
        return DiffusionPipeline.from_pretrained(
            str(path) if path.is_dir() else source, **precision_argument(place.dtype)
        )
    except Exception as error:  # the hub, the disk and a dozen classes raise many kinds here
        raise CheckpointError(f"The base {source!r} cannot be opened: {_first_line(error)}") from error


def _other_vae(base: Base, source: str | Path) -> Base:
    """The same model around another autoencoder; the base's own pipeline stays as it is."""
    pipeline = base.pipeline
    vae = load_vae(source, pipeline.vae)
    parts = {**pipeline.components, "vae": vae.to(device=pipeline.vae.device, dtype=pipeline.vae.dtype)}
    if parts.get("safety_checker") is None and "requires_safety_checker" in pipeline.config:
        parts["requires_safety_checker"] = False
    return replace(base, pipeline=type(pipeline)(**parts), vae=public_name(source))


def _checked(pipeline: Any, name: str) -> Base:
    """The pipeline as a base, with its own VAE; raises CheckpointError when it is no whole model of a known family."""
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
    try:
        family = find_sites(parts["unet"]).layout
    except AttachError as error:
        raise CheckpointError(f"The base {name!r} takes no adapters: {error}") from error
    return Base(pipeline, name, "", "", family, False)


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 300 else f"{text[:297]}..."
