"""Whether an adapter fits a U-Net, told from its structure before anything is attached."""

from __future__ import annotations

from armature.adapters.base import Adapter
from armature.bases.families import FAMILIES, family_title
from armature.errors import AttachError
from armature.injection.sites import SiteMap


def check_fit(adapter: Adapter, site_map: SiteMap, context: int | None, name: str) -> tuple[str, ...]:
    """Raise AttachError when an adapter's features have other widths, another count or other sizes than the sites.

    context: width of the U-Net's text context, or None where it has none. Returns notes on what is left unused.
    An SDXL adapter has the widths of an SD 1.x adapter; what tells them apart is where their maps are halved.
    """
    spec = adapter.spec
    _check_tokens(adapter, site_map, context, name)
    if not spec.maps:
        return ()
    given, notes = spec.maps, ()
    sites = len(site_map.all)
    if adapter.surplus_map and len(given) == sites + 1:
        given = given[:sites]
        notes = (f"Feature map {sites} is left unused: the network gives one more than this U-Net takes.",)
    widths = tuple(one.channels for one in given)
    has, takes = [], []
    if len(given) not in site_map.counts:
        has.append(f"{len(given)} feature maps")
        takes.append(f"{' or '.join(map(str, site_map.counts))} feature maps")
    elif widths != site_map.widths[: len(given)]:
        has.append(f"widths {list(widths)}")
        takes.append(f"widths {list(site_map.widths)}")
    halved = [level for level in range(1, len(given)) if given[level].stride > given[level - 1].stride]
    wanted = _halved(site_map)
    if halved != [level for level in wanted if level < len(given)]:
        has.append(f"maps halved before levels {halved}")
        takes.append(f"maps halved before levels {wanted}")
    if has:
        raise AttachError(
            f"{_called(adapter, name)} does not fit {site_map.title}: it has "
            f"{', '.join(has)}; this U-Net takes {', '.join(takes)}. "
            f"Use an adapter made for {family_title(site_map.family.adapters)} of these widths, or another base model."
        )
    return notes


def cell_size(adapter: Adapter, site_map: SiteMap) -> float:
    """How many pixels of the control, per side, make one cell of the latent: 8 for all published adapters."""
    maps = adapter.spec.maps
    return maps[0].stride / 2 ** site_map.sites[0].halvings if maps else 8.0


def _check_tokens(adapter: Adapter, site_map: SiteMap, context: int | None, name: str) -> None:
    tokens = adapter.spec.tokens
    if tokens is None or tokens.width == context:
        return
    takes = "has no text context" if context is None else f"has a text context of width {context}"
    raise AttachError(
        f"{_called(adapter, name)} does not fit {site_map.title}: it gives tokens of width {tokens.width}, and this "
        f"U-Net {takes}. Use an adapter made for a base with this text encoder, or another base model."
    )


def _called(adapter: Adapter, name: str) -> str:
    family = f", made for {family_title(adapter.card.family)}" if adapter.card.family in FAMILIES else ""
    return f"The {name} adapter ({adapter.spec.network}{family})"


def _halved(site_map: SiteMap) -> list[int]:
    """The sites whose latent is smaller than that of the site before."""
    sites = site_map.all
    return [level for level in range(1, len(sites)) if sites[level].halvings > sites[level - 1].halvings]
