"""Threads that generate on one open base, as a server's do, keep their controls to themselves."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import small_bases as small

from armature.bases.open import open_base
from armature.generation.generate import generate


@pytest.mark.parametrize("shared", [True, False], ids=["one base", "two bases"])
@pytest.mark.parametrize("threads", [2, 8])
def test_pictures_are_those_of_one_after_the_other(bases, pictures, threads, shared):
    opened = [open_base(bases["sd"])]
    opened.append(opened[0] if shared else open_base(bases["sd"]))
    adapter = small.sd_adapter()

    def picture(index):
        # One in three without a control; the others with controls of their own.
        controls = [("sketch", pictures["lines" if index % 2 else "ink"], {"weight": 1.0 + index})]
        given = {"controls": controls, "adapters": {"sketch": adapter}} if index % 3 else {}
        made = generate("a red house", base=opened[index % 2], num_inference_steps=2, seed=index, **given)
        return np.asarray(made.images[0])

    expected = [picture(index) for index in range(16)]
    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(picture, range(16)))
    for ours, serial in zip(results, expected, strict=True):
        assert np.array_equal(ours, serial)
    assert not np.array_equal(expected[1], expected[2])
    assert not any(module._forward_hooks for module in opened[0].pipeline.unet.modules())
