"""The things of toyworld: one record a class, and the builders that draw them."""

from armature.toyworld.objects.catalog import CATALOG, Kind, pool

__all__ = ["CATALOG", "Kind", "pool"]
