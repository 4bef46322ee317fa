"""Names and colours of toyworld: classes with their segmentation palette, object colours, grounds and skies."""

from __future__ import annotations

import numpy as np

RGB = tuple[int, int, int]

OBJECTS: tuple[str, ...] = (
    "house",
    "tree",
    "boat",
    "car",
    "ball",
    "cat",
    "bird",
    "person",
    "flower",
    "mushroom",
    "balloon",
    "rocket",
    "dog",
    "horse",
    "elephant",
    "fish",
    "butterfly",
    "train",
    "plane",
    "castle",
    "snowman",
)
GROUNDS: tuple[str, ...] = ("grass", "sand", "snow", "water", "street")

# The documented palette of the seg map: one RGB per class, index = class number. Any two classes differ by at least 45
# in some channel, so that a slightly blurred map can still be read back. Numbers stay: new classes come last.
SEG_PALETTE: dict[str, RGB] = {
    "sky": (70, 130, 230),
    "grass": (40, 160, 40),
    "sand": (225, 205, 130),
    "snow": (235, 240, 250),
    "water": (20, 60, 160),
    "street": (110, 110, 115),
    "house": (200, 60, 50),
    "tree": (10, 90, 50),
    "boat": (150, 80, 20),
    "car": (255, 120, 0),
    "ball": (255, 225, 0),
    "cat": (180, 110, 190),
    "bird": (0, 210, 220),
    "person": (240, 160, 150),
    "flower": (255, 60, 160),
    "mushroom": (130, 0, 40),
    "balloon": (120, 0, 200),
    "rocket": (20, 20, 30),
    "dog": (90, 255, 120),
    "horse": (165, 180, 45),
    "elephant": (105, 255, 255),
    "fish": (0, 0, 255),
    "butterfly": (225, 0, 255),
    "train": (0, 255, 0),
    "plane": (255, 135, 255),
    "castle": (120, 255, 0),
    "snowman": (0, 210, 120),
}
CLASSES: tuple[str, ...] = tuple(SEG_PALETTE)
CLASS_INDEX: dict[str, int] = {name: index for index, name in enumerate(CLASSES)}
SEG_TABLE: np.ndarray = np.array(list(SEG_PALETTE.values()), dtype=np.uint8)

# Colours of things. Numbers stay here as well.
COLOURS: dict[str, RGB] = {
    "red": (214, 48, 49),
    "orange": (243, 140, 38),
    "yellow": (250, 212, 54),
    "green": (70, 170, 78),
    "blue": (52, 110, 220),
    "purple": (136, 76, 188),
    "pink": (245, 142, 186),
    "white": (246, 246, 242),
    "brown": (142, 92, 54),
    "grey": (124, 128, 140),
    "black": (56, 54, 64),
}
COLOUR_NAMES: tuple[str, ...] = tuple(COLOURS)

GROUND_COLOURS: dict[str, RGB] = {
    "grass": (124, 190, 92),
    "sand": (236, 213, 158),
    "snow": (222, 233, 247),
    "water": (84, 158, 208),
    "street": (150, 150, 158),
}
# Hills, dunes or far shores behind each ground.
BACKDROP_COLOURS: dict[str, RGB] = {
    "grass": (98, 166, 96),
    "sand": (214, 186, 130),
    "snow": (206, 220, 238),
    "water": (120, 170, 130),
    "street": (172, 178, 178),
}

TIMES: tuple[str, ...] = ("day", "sunset", "night", "overcast")
# Sky at the top and at the horizon.
SKY_COLOURS: dict[str, tuple[RGB, RGB]] = {
    "day": ((96, 172, 238), (198, 230, 250)),
    "sunset": ((128, 96, 168), (252, 180, 120)),
    "night": ((18, 24, 62), (52, 62, 112)),
    "overcast": ((164, 174, 184), (212, 218, 222)),
}
# What the light of the hour does to every surface: a factor per channel.
TINTS: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "sunset": (1.0, 0.90, 0.84),
    "night": (0.58, 0.62, 0.80),
    "overcast": (0.90, 0.91, 0.93),
}

STYLES: tuple[str, ...] = ("flat", "outlined", "pastel", "crayon", "paper")
