"""Where features enter a frozen U-Net: found by the U-Net's structure, and named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from armature.errors import AttachError

Layout = Literal["sd", "sdxl"]

_UNETS = ("UNet2DConditionModel", "UNetMotionModel")
_BLOCKS = ("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlockMotion", "DownBlockMotion")
_LAYOUT_NAMES: dict[Layout, str] = {"sd": "SD 1.x / 2.x", "sdxl": "SDXL"}


@dataclass(frozen=True)
class Site:
    """One place where a feature map is added to the output of a module.

    name: dotted path of the module inside the U-Net.
    module: the module itself; its output, or the first part of it, is (batch, channels, height, width).
    channels: width of that output.
    halvings: how often the latent has been halved there, rounding up each time.
    """

    name: str
    module: nn.Module
    channels: int
    halvings: int

    def size(self, latent: tuple[int, int]) -> tuple[int, int]:
        """Height and width of this site's output for a latent of the given height and width."""
        height, width = latent
        for _ in range(self.halvings):
            height, width = -(-height // 2), -(-width // 2)
        return height, width


@dataclass(frozen=True)
class SiteMap:
    """All sites of one U-Net, in the order of an adapter's features.

    unet: class name of the U-Net.
    layout: "sd" (one site per encoder level, before its downsampler) or "sdxl" (the first after its downsampler).
    sites: one per encoder level.
    middle: the site after the middle block, for the one feature more that SDXL adapters have; None elsewhere.
    """

    unet: str
    layout: Layout
    sites: tuple[Site, ...]
    middle: Site | None

    @property
    def all(self) -> tuple[Site, ...]:
        """The sites of the levels, then the middle one where there is one."""
        return self.sites if self.middle is None else (*self.sites, self.middle)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many feature maps an adapter for this U-Net may have."""
        return (len(self.sites),) if self.middle is None else (len(self.sites), len(self.sites) + 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every site."""
        return tuple(site.channels for site in self.all)

    @property
    def title(self) -> str:
        """The U-Net in words, as the error messages name it."""
        return f"{self.unet} ({_LAYOUT_NAMES[self.layout]} layout, widths {list(self.widths)})"

    def __str__(self) -> str:
        lines = [self.title]
        lines += [
            f"  feature {index}: {site.name}, {site.channels} channels, latent / {2**site.halvings}"
            for index, site in enumerate(self.all)
        ]
        return "\n".join(lines)


def find_sites(unet: nn.Module) -> SiteMap:
    """Find where a U-Net takes the features of an adapter.

    unet: a diffusers UNet2DConditionModel (SD 1.x, SD 2.x, inpainting, SDXL) or UNetMotionModel (AnimateDiff) of any
    widths and depths, compiled or not. `print(find_sites(unet))` lists the sites.
    A level with attention takes its feature after its last layer, before its downsampler, so that the skip carries the
    sum too; a plain level after its downsampler, or after its last layer where it has none.
    Raises AttachError, naming what was found, for any other network.
    Source: facts of the authors' code (input blocks 2, 5, 8, 11) and of diffusers' UNet2DConditionModel.
    """
    unet = plain_module(unet)
    kind = type(unet).__name__
    blocks = [plain_module(block) for block in getattr(unet, "down_blocks", ())]
    names = [type(block).__name__ for block in blocks]
    if not any(base.__name__ in _UNETS for base in type(unet).__mro__) or not blocks or set(names) - set(_BLOCKS):
        found = f" with the encoder blocks {names}" if names else ""
        raise AttachError(
            f"No sites are known in {kind}{found}. Features fit {' and '.join(_UNETS)} built from "
            f"{', '.join(_BLOCKS)}; attach to a pipeline that has one of these."
        )
    sites, halvings = [], 0
    for index, block in enumerate(blocks):
        site, halvings = _level_site(f"down_blocks.{index}", block, halvings)
        sites.append(site)
    # Only SDXL starts with a level without attention that goes on to a smaller one.
    layout: Layout = "sdxl" if sites[0].halvings else "sd"
    return SiteMap(kind, layout, tuple(sites), _middle_site(unet, halvings) if layout == "sdxl" else None)


def plain_module(module: nn.Module) -> nn.Module:
    """The module that `torch.compile` wrapped, or the module itself."""
    inner = module._modules.get("_orig_mod")
    return module if inner is None else inner


def _level_site(prefix: str, block: nn.Module, halvings: int) -> tuple[Site, int]:
    """The site of one encoder level that starts after `halvings`, and the halvings after the level."""
    parts: Any = block
    width = parts.resnets[-1].out_channels
    attends = bool(getattr(block, "attentions", None))
    shrinks = bool(getattr(block, "downsamplers", None))
    after = halvings + (1 if shrinks else 0)
    if shrinks and not attends:
        last = len(parts.downsamplers) - 1
        return Site(f"{prefix}.downsamplers.{last}", parts.downsamplers[last], width, after), after
    # A layer is resnet, attention, motion module; those that a block lacks are left out, and the last one is the end.
    for name in ("motion_modules", "attentions", "resnets"):
        layers = getattr(block, name, None)
        if layers and layers[-1] is not None:
            return Site(f"{prefix}.{name}.{len(layers) - 1}", plain_module(layers[-1]), width, halvings), after
    raise AttachError(f"{prefix} has no layers to take a feature; expected resnets in every encoder level.")


def _middle_site(unet: nn.Module, halvings: int) -> Site | None:
    """The site after the middle block; some distilled U-Nets have none."""
    middle: Any = getattr(unet, "mid_block", None)
    if middle is None:
        return None
    module = plain_module(middle)
    return Site("mid_block", module, middle.resnets[-1].out_channels, halvings)
