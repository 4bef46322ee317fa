"""The version of this package, for every room that records it."""

__version__ = "0.1.0"
