"""Random numbers that belong to a sample: the same for the same seed, key and variant, on every machine."""

from __future__ import annotations

import hashlib

import numpy as np


def stable_number(*parts: str | int) -> int:
    """A whole number of 128 bits that depends on the parts alone, in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        text = str(part).encode()
        # With their lengths, so that ("ab", "c") and ("a", "bc") differ.
        digest.update(len(text).to_bytes(8, "little") + text)
    return int.from_bytes(digest.digest(), "little")


def sample_rng(purpose: str, seed: int, key: str, variant: int) -> np.random.Generator:
    """A generator for one purpose ("window", "options"...), so that a new purpose leaves the others' draws alone."""
    return np.random.default_rng(stable_number(purpose, seed, key, variant))


def smallest_hashes(keys: list[str], seed: int, count: int) -> list[int]:
    """Numbers of `count` keys chosen by their hash, ascending.

    Another key that comes in changes the choice by at most one: whoever it pushes out.
    """
    order = sorted(range(len(keys)), key=lambda number: (stable_number("held out", seed, keys[number]), number))
    return sorted(order[:count])
