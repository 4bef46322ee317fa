"""Whether an adapter fits a U-Net, told from its structure before anything is attached."""

from __future__ import annotations

from armature.adapters.base import Adapter
from armature.errors import AttachError
from armature.injection.sites import SiteMap

_MADE_FOR = {"sd": "SD 1.x / 2.x", "sdxl": "SDXL"}


def check_fit(adapter: Adapter, site_map: SiteMap, name: str) -> None:
    """Raise AttachError when an adapter's features have other widths, another count or other sizes than the sites.

    An SDXL adapter has the widths of an SD 1.x adapter; what tells them apart is where their maps are halved.
    """
    spec = adapter.spec
    expected, found = [], []
    if spec.levels not in site_map.counts:
        found.append(f"{spec.levels} feature maps")
        expected.append(f"{' or '.join(map(str, site_map.counts))} feature maps")
    elif spec.channels != site_map.widths[: spec.levels]:
        found.append(f"widths {list(spec.channels)}")
        expected.append(f"widths {list(site_map.widths)}")
    halved = [level for level, down in enumerate(spec.downs) if down and level]
    wanted = _halved(site_map)
    if halved != [level for level in wanted if level < spec.levels]:
        found.append(f"maps halved before levels {halved}")
        expected.append(f"maps halved before levels {wanted}")
    if found:
        family = f", made for {_MADE_FOR[adapter.card.family]}" if adapter.card.family in _MADE_FOR else ""
        raise AttachError(
            f"The {name} adapter ({spec.network}{family}) does not fit {site_map.title}: it has "
            f"{', '.join(found)}; this U-Net takes {', '.join(expected)}. "
            f"Use an adapter made for {_MADE_FOR[site_map.layout]} of these widths, or another base model."
        )


def cell_size(adapter: Adapter, site_map: SiteMap) -> float:
    """How many pixels of the control, per side, make one cell of the latent: 8 for all published adapters."""
    return adapter.spec.stride / 2 ** site_map.sites[0].halvings


def _halved(site_map: SiteMap) -> list[int]:
    """The sites whose latent is smaller than that of the site before."""
    sites = site_map.all
    return [level for level in range(1, len(sites)) if sites[level].halvings > sites[level - 1].halvings]
