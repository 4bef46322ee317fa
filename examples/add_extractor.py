"""Another way to make a map of a known kind: python examples/add_extractor.py [PICTURE].

In a package of your own, name EXTRACTOR as an entry point instead of calling `register`, and every process finds it:

    [project.entry-points."armature.extractors"]
    two_tone = "my_package:EXTRACTOR"
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from PIL import Image

import armature


def two_tone(picture: Image.Image, levels: int) -> Image.Image:
    """Borders between flat tones: white lines on black, at the picture's size."""
    grey = cv2.GaussianBlur(np.asarray(picture.convert("L")), (0, 0), 1.5)
    tones = grey.astype(np.int32) * levels // 256
    border = np.zeros(grey.shape, bool)
    border[:, 1:] |= tones[:, 1:] != tones[:, :-1]
    border[1:] |= tones[1:] != tones[:-1]
    return Image.fromarray(border.astype(np.uint8) * 255)


EXTRACTOR = armature.Extractor(
    name="two_tone",
    kind="sketch",
    summary="borders between flat tones",
    run=two_tone,
    contract=armature.InputContract("sketch", channels=1, order="L"),
    options=(armature.Option("levels", 4, "how many tones", low=2, high=32, number=int),),
)


def main() -> None:
    """Register it, make a map, and draw from the map."""
    armature.register(EXTRACTOR)
    picture = sys.argv[1] if len(sys.argv) > 1 else "photo.png"
    armature.extract("two_tone", picture, levels=3).save("two_tone.png")
    made = armature.generate("a person on sand", [("sketch", "two_tone.png")], seed=1, num_inference_steps=8)
    made.images[0].save("from_two_tone.png")
    print("wrote two_tone.png and from_two_tone.png")


if __name__ == "__main__":
    main()
