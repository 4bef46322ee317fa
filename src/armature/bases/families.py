"""The families of base models: one record each, and everything that differs between them is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from armature.errors import CheckpointError

Task = Literal["text", "image", "inpaint"]


@dataclass(frozen=True)
class TextRule:
    """How captions become conditions.

    encoders: endings of the pipeline's tokenizer* and text_encoder*, in the order in which their states stand side by
    side. layer: which hidden states are taken; None is the last one after its norm. pooled: whether the last encoder's
    pooled projection is a condition too.
    """

    encoders: tuple[str, ...] = ("",)
    layer: int | None = None
    pooled: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the pipeline's components that it takes."""
        return tuple(f"{part}{ending}" for part in ("text_encoder", "tokenizer") for ending in self.encoders)


@dataclass(frozen=True)
class UNetRule:
    """By what a family's U-Net is recognised.

    network: class of diffusers. attention, plain: classes of its encoder levels with and without attention.
    plain_first: whether its first level has no attention and goes on to a smaller one.
    """

    network: str
    attention: str
    plain: str
    plain_first: bool


@dataclass(frozen=True)
class SiteRule:
    """Where features enter, level by level; `armature.injection.sites` looks these places up in a U-Net.

    ends: lists of layers whose last one ends a level, in this order; those that a level lacks are passed over.
    plain_after_downsampler: a level without attention takes its feature after its downsampler, where it has one; all
    others take it after their last layer, before the downsampler, so that the skip carries the sum too.
    middle: whether adapters may have one feature more, for the middle block.
    """

    ends: tuple[str, ...] = ("attentions", "resnets")
    plain_after_downsampler: bool = True
    middle: bool = False


@dataclass(frozen=True)
class Family:
    """A family of base models.

    key: how records, metadata and files name it. title, name: in words, short and whole.
    unet, sites, text: how its U-Net is recognised, where features enter, how captions become conditions.
    sizes: whether original size, crop and target size are conditions ("time ids").
    adapters: key of the family whose adapters and input contracts it takes; its own unless it is built on another.
    pipelines: diffusers' class for each task; none for a family that makes clips.
    original: beginning of a tensor name that only its files in the original layout have, "" where the U-Net's own
    prefix has to do.
    guidance, steps: what its pipelines use when nothing is asked for. cells: side of the latent at which it was trained
    where its configuration does not say. latent_scale: by which its autoencoder's latents are multiplied. force_upcast:
    whether its autoencoder overflows in float16, where its configuration does not say. bucket_step: usual step between
    picture sizes in training, in pixels.
    """

    key: str
    title: str
    name: str
    unet: UNetRule
    sites: SiteRule
    text: TextRule
    sizes: bool
    adapters: str
    pipelines: Mapping[Task, str] = field(default_factory=dict)
    original: str = ""
    guidance: float = 7.5
    steps: int = 20
    cells: int = 64
    latent_scale: float = 0.18215
    force_upcast: bool = True
    bucket_step: int = 64

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the components that a pipeline of this family must have."""
        return ("unet", "vae", *self.text.parts, "scheduler")

    @property
    def makes_clips(self) -> bool:
        """Whether its U-Net works on frames, not on single pictures."""
        return not self.pipelines


_SD = Family(
    key="sd",
    title="SD 1.x / 2.x",
    name="Stable Diffusion 1.x / 2.x",
    unet=UNetRule("UNet2DConditionModel", "CrossAttnDownBlock2D", "DownBlock2D", plain_first=False),
    # Source: the authors' code, where features enter at input blocks 2, 5, 8 and 11.
    sites=SiteRule(),
    text=TextRule(),
    sizes=False,
    adapters="sd",
    pipelines={
        "text": "StableDiffusionPipeline",
        "image": "StableDiffusionImg2ImgPipeline",
        "inpaint": "StableDiffusionInpaintPipeline",
    },
)
_SDXL = Family(
    key="sdxl",
    title="SDXL",
    name="SDXL",
    unet=UNetRule("UNet2DConditionModel", "CrossAttnDownBlock2D", "DownBlock2D", plain_first=True),
    sites=SiteRule(middle=True),
    text=TextRule(("", "_2"), layer=-2, pooled=True),
    sizes=True,
    adapters="sdxl",
    pipelines={
        "text": "StableDiffusionXLPipeline",
        "image": "StableDiffusionXLImg2ImgPipeline",
        "inpaint": "StableDiffusionXLInpaintPipeline",
    },
    original="conditioner.embedders.1.",
    guidance=5.0,
    cells=128,
    latent_scale=0.13025,
    bucket_step=32,
)
# Motion modules stand between the layers of a U-Net of pictures, and take its adapters.
_MOTION_ENDS = ("motion_modules", "attentions", "resnets")
_MOTION = replace(
    _SD,
    key="motion",
    title="AnimateDiff, SD 1.x / 2.x",
    name="AnimateDiff on Stable Diffusion 1.x / 2.x",
    unet=UNetRule("UNetMotionModel", "CrossAttnDownBlockMotion", "DownBlockMotion", plain_first=False),
    sites=replace(_SD.sites, ends=_MOTION_ENDS),
    pipelines={},
)
_MOTION_XL = replace(
    _SDXL,
    key="motion_xl",
    title="AnimateDiff, SDXL",
    name="AnimateDiff on SDXL",
    unet=replace(_MOTION.unet, plain_first=True),
    sites=replace(_SDXL.sites, ends=_MOTION_ENDS),
    pipelines={},
    original="",
)

FAMILIES: dict[str, Family] = {family.key: family for family in (_SD, _SDXL, _MOTION, _MOTION_XL)}


def family_named(key: str) -> Family:
    """The family of a key. CheckpointError, naming the known ones, for any other."""
    if key not in FAMILIES:
        raise CheckpointError(f"There is no family of base models {key!r}; expected one of {', '.join(FAMILIES)}.")
    return FAMILIES[key]


def family_title(key: str | None, *, whole: bool = False) -> str:
    """What people call the family of a key, "unknown" where there is no such family. whole: the long name."""
    family = FAMILIES.get(key or "")
    return "unknown" if family is None else family.name if whole else family.title


def family_of_file(names: list[str]) -> Family:
    """The family of a model in the original layout, by the names of its tensors; SD 1.x / 2.x where none is special."""
    marked = [family for family in FAMILIES.values() if family.original]
    return next((f for f in marked if any(name.startswith(f.original) for name in names)), _SD)
