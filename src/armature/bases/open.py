"""The frozen model under the adapters: the embedded one, a hub id, a diffusers folder or a single file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from armature.bases.card import EMBEDDED, BaseCard, card_of
from armature.bases.embedded import embedded_pipeline
from armature.bases.families import Family
from armature.bases.glance import glance_at
from armature.bases.latents import Half, latent_stride, wide_autoencoder
from armature.bases.pretrained import load_pretrained
from armature.bases.single_file import is_single_file, load_single_file
from armature.bases.unet import family_of
from armature.bases.vae import config_of, load_vae
from armature.devices import DeviceSpec
from armature.errors import CheckpointError
from armature.files import local_path, public_name
from armature.quiet import quiet_loading

# Besides the latents, an inpainting model of Stable Diffusion takes a mask and the latents of the masked picture.
_INPAINTING = 9


@dataclass(frozen=True, eq=False)
class Base:
    """An opened base model; hand it to `generate` again and again.

    pipeline: a diffusers pipeline that has all its parts. name: how it is recorded. vae: name of the VAE that
    replaced its own, or "". config: name of the configuration that a single file was opened with, or "".
    family: everything that its kind of model decides. card: what it says of itself.
    """

    pipeline: Any
    name: str
    vae: str
    config: str
    family: Family
    card: BaseCard

    @property
    def embedded(self) -> bool:
        """Whether it is the shipped one, however it came here."""
        return self.card.embedded

    @property
    def place(self) -> DeviceSpec:
        """Device and precision of its U-Net; under offloading the device where it runs."""
        return DeviceSpec(self.pipeline._execution_device, self.pipeline.unet.dtype)

    @property
    def stride(self) -> int:
        """Pixels that one cell of its latent covers, per side."""
        return latent_stride(self.pipeline.vae)

    @property
    def latent_channels(self) -> int:
        """Channels of its latent: 4 for all published models of these families."""
        return self.pipeline.vae.config.latent_channels

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels at which it was trained."""
        cells = self.pipeline.unet.config.sample_size or self.family.cells
        height, width = (cells, cells) if isinstance(cells, int) else cells
        return width * self.stride, height * self.stride

    @property
    def inpaints(self) -> bool:
        """Whether its U-Net takes mask and masked picture as extra channels, and cannot do without them."""
        return self.pipeline.unet.config.in_channels != self.latent_channels

    @property
    def guidance(self) -> float:
        """The guidance scale to use when none is asked for."""
        return self.family.guidance if self.card.guidance is None else float(self.card.guidance)

    @property
    def steps(self) -> int:
        """The number of the sampler's steps to use when none is asked for."""
        return self.card.steps or self.family.steps

    def autoencoder(self, *, without: Half | None = None) -> Any:
        """Its autoencoder, or a float32 copy where half precision overflows in it; see `wide_autoencoder`."""
        return wide_autoencoder(self.pipeline.vae, without=without, force_upcast=self.family.force_upcast)


@quiet_loading()
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

    Example: `base = armature.open_base("stable-diffusion-v1-5/stable-diffusion-v1-5")`, then
    `armature.generate("a car", base=base)`.
    """
    single = is_single_file(source)
    if config is not None and not single:
        raise CheckpointError("A configuration folder belongs to a single-file base; leave it out, or give the file.")
    if isinstance(source, Base):
        return source if vae is None else _other_vae(source, vae)
    card = card_of(source)
    if source is not None and not isinstance(source, (str, Path)):
        base = _checked(source, card.name or type(source).__name__, card)
        return base if vae is None else _other_vae(base, vae)
    place = place or DeviceSpec.choose(embedded=card.embedded)
    lent = _lent_vae(source, vae, config) if vae is not None else {}
    if source is None or source == EMBEDDED:
        base = _checked(embedded_pipeline(place.dtype), EMBEDDED, card)
    elif single:
        pipeline = load_single_file(local_path(source, CheckpointError), config, place.dtype, lent)
        base = _checked(pipeline, public_name(source), card)
        base = replace(base, config="" if config is None else public_name(config))
    else:
        base = _checked(load_pretrained(str(source), place.dtype, lent), card.name or public_name(source), card)
    if vae is not None:
        base = replace(base, vae=public_name(vae)) if lent else _other_vae(base, vae)
    base.pipeline.to(device=place.device, dtype=place.dtype)
    return base


def _lent_vae(source: Any, vae: str | Path, config: str | Path | None) -> dict[str, Any]:
    """The VAE as a component for a base that has none of its own, which cannot be opened without one; else nothing."""
    glance = glance_at(source, config)
    if glance.family is None or glance.has_vae:
        return {}
    return {"vae": load_vae(vae, glance.family, glance.vae_config)}


def _other_vae(base: Base, source: str | Path) -> Base:
    """The same model around another autoencoder; the base's own pipeline stays as it is."""
    pipeline = base.pipeline
    vae = load_vae(source, base.family, config_of(pipeline.vae))
    parts = {**pipeline.components, "vae": vae.to(device=pipeline.vae.device, dtype=pipeline.vae.dtype)}
    if parts.get("safety_checker") is None and "requires_safety_checker" in pipeline.config:
        parts["requires_safety_checker"] = False
    return replace(base, pipeline=type(pipeline)(**parts), vae=public_name(source))


def _checked(pipeline: Any, name: str, card: BaseCard) -> Base:
    """The pipeline as a base, with its own VAE; raises CheckpointError when it is no whole model of a known family."""
    parts = getattr(pipeline, "components", None)
    if not isinstance(parts, dict) or not {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= set(parts):
        raise CheckpointError(
            f"The base {name!r} is a {type(pipeline).__name__}; expected a pipeline with a Stable Diffusion U-Net, "
            "VAE, text encoder and tokenizer."
        )
    if parts["unet"] is None:
        raise CheckpointError(f"The base {name!r} lacks its unet; download the whole model.")
    family = _family(parts["unet"], name)
    # diffusers warns about absent parts only in its log; a user needs to know before the first step.
    if absent := [part for part in family.parts if parts.get(part) is None]:
        raise CheckpointError(f"The base {name!r} lacks its {', '.join(absent)}; download the whole model.")
    channels, latents = parts["unet"].config.in_channels, parts["vae"].config.latent_channels
    if channels not in (latents, _INPAINTING):
        inpainting = f", or {_INPAINTING} for an inpainting model" if latents == 4 else ", as its VAE has"
        raise CheckpointError(
            f"The U-Net of the base {name!r} takes {channels} channels; expected {latents}{inpainting}."
        )
    return Base(pipeline, name, "", "", family, card)


def _family(unet: Any, name: str) -> Family:
    try:
        return family_of(unet)
    except CheckpointError as error:
        raise CheckpointError(f"The base {name!r} takes no adapters: {error}") from error
