"""Two controls on a pipeline, changed between calls, and off again: python examples/attach.py [OUT.png]."""

from __future__ import annotations

import sys

import torch
from PIL import Image

import armature
from armature.embedded.paths import DRAWINGS

PROMPT = "a red house and a green tree on grass on a sunny day"


def main() -> None:
    """Draw the same seed without control, with one, with two, and without again."""
    out = sys.argv[1] if len(sys.argv) > 1 else "attach.png"
    pipe = armature.embedded_pipeline()
    pipe.set_progress_bar_config(disable=True)
    sketch = armature.Control(armature.load_adapter("embedded:sketch"), DRAWINGS / "house.png")
    # Blocks of colour that the picture takes up: sky above, grass below.
    blocks = Image.new("RGB", (128, 128), (120, 170, 240))
    blocks.paste((90, 170, 70), (0, 96, 128, 128))
    color = armature.Control(armature.load_adapter("embedded:color"), blocks, weight=0.6, end=0.5)

    def draw() -> Image.Image:
        generator = torch.Generator().manual_seed(3)
        return pipe(PROMPT, num_inference_steps=12, guidance_scale=2.5, generator=generator).images[0]

    pictures = [draw()]
    with armature.attach(pipe, sketch) as attachment:
        pictures.append(draw())
        attachment.update([sketch, color])
        pictures.append(draw())
        print(attachment.report())
    pictures.append(draw())
    assert pictures[0].tobytes() == pictures[3].tobytes()  # detached without a trace

    sheet = Image.new("RGB", (4 * 128, 128))
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index * 128, 0))
    sheet.save(out)
    print(f"wrote {out}: without, with the sketch, with sketch and colours, without again")


if __name__ == "__main__":
    main()
