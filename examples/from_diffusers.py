"""The same adapter in diffusers' own pipeline and attached: equal pictures. python examples/from_diffusers.py."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import StableDiffusionAdapterPipeline, T2IAdapter
from PIL import Image

import armature
from armature.embedded.paths import DRAWINGS, embedded_adapter_path

PROMPT = "a red house and a green tree on grass"


def main() -> None:
    """Draw one seed both ways and compare."""
    pipe = armature.embedded_pipeline()
    sketch = armature.load_adapter("embedded:sketch")
    # diffusers takes a map that is ready: white lines on black, cut to two values, of the picture's size.
    made = armature.generate(PROMPT, [("sketch", DRAWINGS / "house.png")], seed=5, num_inference_steps=1)
    lines = made.control_maps[0]
    options = {"num_inference_steps": 8, "guidance_scale": 2.5, "output_type": "np"}

    pipe.set_progress_bar_config(disable=True)
    with armature.attach(pipe, armature.Control(sketch, lines)):
        attached = pipe(PROMPT, generator=torch.Generator().manual_seed(5), **options).images[0]

    adapter = T2IAdapter.from_pretrained(embedded_adapter_path("sketch"))
    parts = {name: part for name, part in pipe.components.items() if name != "image_encoder"}
    theirs = StableDiffusionAdapterPipeline(**parts, adapter=adapter, requires_safety_checker=False)
    theirs.set_progress_bar_config(disable=True)
    pipelined = theirs(PROMPT, image=lines, generator=torch.Generator().manual_seed(5), **options).images[0]

    print(f"largest difference: {np.abs(attached - pipelined).max()}")
    Image.fromarray((attached * 255).round().astype(np.uint8)).save("from_diffusers.png")


if __name__ == "__main__":
    main()
