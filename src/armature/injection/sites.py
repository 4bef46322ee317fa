"""Where features enter a frozen U-Net: found by the U-Net's structure, and named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from armature.bases.families import Family, SiteRule, family_title
from armature.bases.unet import family_of, plain_module
from armature.errors import AttachError, CheckpointError


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
    family: of the U-Net.
    sites: one per encoder level.
    middle: the site after the middle block, for the one feature more that SDXL adapters have; None elsewhere.
    """

    unet: str
    family: Family
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
        return f"{self.unet} ({family_title(self.family.adapters)} layout, widths {list(self.widths)})"

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
    Where the sites lie is a rule of the U-Net's family: see SiteRule.
    Raises AttachError, naming what was found, for any other network.
    Source: facts of the authors' code (input blocks 2, 5, 8, 11) and of diffusers' UNet2DConditionModel.
    """
    unet = plain_module(unet)
    try:
        family = family_of(unet)
    except CheckpointError as error:
        raise AttachError(str(error)) from error
    blocks: Any = unet.down_blocks
    sites, halvings = [], 0
    for index, block in enumerate(blocks):
        site, halvings = _level_site(f"down_blocks.{index}", plain_module(block), halvings, family.sites)
        sites.append(site)
    middle = _middle_site(unet, halvings) if family.sites.middle else None
    return SiteMap(type(unet).__name__, family, tuple(sites), middle)


def _whole(module: Any) -> Any:
    """The module that diffusers' FreeNoise runs in pieces, whose wrapper puts them together again, or the module."""
    return module.module if type(module).__name__ == "SplitInferenceModule" else module


def _level_site(prefix: str, block: nn.Module, halvings: int, rule: SiteRule) -> tuple[Site, int]:
    """The site of one encoder level that starts after `halvings`, and the halvings after the level."""
    parts: Any = block
    width = _whole(parts.resnets[-1]).out_channels
    attends = bool(getattr(block, "attentions", None))
    shrinks = bool(getattr(block, "downsamplers", None))
    after = halvings + (1 if shrinks else 0)
    if shrinks and not attends and rule.plain_after_downsampler:
        last = len(parts.downsamplers) - 1
        return Site(f"{prefix}.downsamplers.{last}", parts.downsamplers[last], width, after), after
    for name in rule.ends:
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
    return Site("mid_block", module, _whole(middle.resnets[-1]).out_channels, halvings)
