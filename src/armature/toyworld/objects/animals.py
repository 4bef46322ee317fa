"""Animals, back to front, in unit space, facing right."""

from __future__ import annotations

import numpy as np

from armature.toyworld.palette import RGB
from armature.toyworld.shapes import Part, against, ellipse, limb, polygon, shade

DARK: RGB = (52, 48, 58)
PALE: RGB = (246, 240, 226)
_BEAK: RGB = (244, 166, 40)


def _shaded(colour: RGB) -> RGB:
    """The colour of what lies behind or over the body: darker, and lighter on black."""
    return against(colour, shade(colour, 0.74), shade(colour, 1.2))


def _eye(x: float, y: float, r: float, colour: RGB) -> list[Part]:
    """A dark eye, or a pale one on dark fur."""
    return [Part("eye", ellipse(x, y, r, r * 1.15, count=12), against(colour, DARK, PALE), detail=True, rigid=True)]


def cat(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A sitting cat, seen from the front, with its tail to one side."""
    dark = _shaded(colour)
    eye = (240, 220, 90) if max(colour) < 200 else (40, 60, 40)
    return [
        Part("tail", limb((0.22, 0.1), (0.46, 0.16), 0.1), dark),
        Part("tail", limb((0.46, 0.16), (0.48, 0.46), 0.1), dark),
        Part("body", ellipse(0, 0.27, 0.28, 0.29), colour),
        Part("belly", ellipse(0, 0.22, 0.14, 0.2), shade(colour, 1.45), detail=True),
        Part("ear", polygon((-0.29, 0.66), (-0.25, 1.0), (-0.03, 0.82)), colour),
        Part("ear", polygon((0.29, 0.66), (0.25, 1.0), (0.03, 0.82)), colour),
        Part("head", ellipse(0, 0.66, 0.3, 0.23), colour),
        Part("eye", ellipse(-0.12, 0.69, 0.05, 0.06, count=12), eye, detail=True),
        Part("eye", ellipse(0.12, 0.69, 0.05, 0.06, count=12), eye, detail=True),
        Part("nose", polygon((-0.045, 0.6), (0.045, 0.6), (0, 0.55)), (225, 120, 130), detail=True),
    ]


def bird(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A plump bird in profile with wing, beak and thin legs."""
    dark = _shaded(colour)
    return [
        Part("leg", limb((-0.06, 0.02), (-0.05, 0.3), 0.05), (226, 140, 50)),
        Part("leg", limb((0.12, 0.02), (0.1, 0.3), 0.05), (226, 140, 50)),
        Part("tail", polygon((-0.3, 0.5), (-0.74, 0.66), (-0.66, 0.4)), dark),
        Part("beak", polygon((0.5, 0.83), (0.76, 0.74), (0.5, 0.68)), _BEAK),
        Part("body", ellipse(0, 0.46, 0.46, 0.3), colour),
        Part("head", ellipse(0.32, 0.77, 0.23, 0.22), colour),
        Part("wing", ellipse(-0.08, 0.48, 0.26, 0.15, -0.35), dark),
        *_eye(0.38, 0.82, 0.045, colour),
    ]


def dog(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A standing dog in profile: raised tail, hanging ear, a snout with a nose, a collar."""
    dark = _shaded(colour)
    nose = against(colour, DARK, (18, 16, 22))
    parts = [
        Part("tail", limb((-0.42, 0.52), (-0.58, rng.uniform(0.72, 0.86)), 0.1), colour),
        Part("leg", limb((-0.26, 0.05), (-0.26, 0.36), 0.12), dark),
        Part("leg", limb((0.2, 0.05), (0.2, 0.36), 0.12), dark),
        Part("leg", limb((-0.38, 0.05), (-0.36, 0.36), 0.13), colour),
        Part("leg", limb((0.08, 0.05), (0.08, 0.36), 0.13), colour),
        Part("neck", limb((0.12, 0.52), (0.28, 0.74), 0.24), colour),
        Part("body", limb((-0.3, 0.45), (0.06, 0.47), 0.32), colour),
        Part("neck", limb((0.06, 0.52), (0.2, 0.64), 0.2), colour, seam=True),
        Part("head", ellipse(0.32, 0.8, 0.2, 0.18), colour),
        Part("snout", limb((0.42, 0.74), (0.56, 0.73), 0.17), colour),
        Part("snout", ellipse(0.4, 0.76, 0.1, 0.09), colour, seam=True),
        Part("ear", ellipse(0.2, 0.76, 0.085, 0.18, 0.15), dark),
        Part("nose", ellipse(0.62, 0.77, 0.045, 0.042, count=12), nose, detail=True),
    ]
    collar = (206, 52, 60) if colour[0] < 190 or colour[1] > 120 else (60, 96, 190)
    parts.append(Part("collar", limb((0.1, 0.66), (0.28, 0.58), 0.055), collar, detail=True))
    return parts + _eye(0.36, 0.84, 0.03, colour)


def horse(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A standing horse in profile: long legs, a long neck with a mane, a tail that hangs down."""
    dark = _shaded(colour)
    mane = against(colour, shade(colour, 0.5), (196, 170, 120))
    hoof = against(colour, (70, 58, 54), (150, 140, 136))
    parts = [
        Part("tail", limb((-0.46, 0.58), (-0.58, 0.24), 0.1), mane),
        Part("leg", limb((-0.26, 0.03), (-0.28, 0.42), 0.085), dark),
        Part("leg", limb((0.14, 0.03), (0.16, 0.42), 0.085), dark),
        Part("leg", limb((-0.4, 0.03), (-0.36, 0.42), 0.095), colour),
        Part("leg", limb((0.28, 0.03), (0.24, 0.42), 0.095), colour),
        Part("mane", polygon((0.06, 0.66), (0.14, 0.72), (0.28, 1.0), (0.4, 0.97), (0.26, 0.62)), mane),
        Part("neck", polygon((0.12, 0.56), (0.32, 0.92), (0.5, 0.86), (0.38, 0.42)), colour),
        Part("body", ellipse(-0.06, 0.5, 0.42, 0.18), colour),
        Part("neck", polygon((0.14, 0.52), (0.24, 0.68), (0.42, 0.66), (0.35, 0.48)), colour, seam=True),
        Part("ear", polygon((0.32, 0.9), (0.34, 1.0), (0.42, 0.91)), colour),
        Part("head", limb((0.4, 0.86), (0.58, 0.7), 0.16), colour),
    ]
    parts += [Part("hoof", limb((x, 0.03), (x, 0.05), 0.1), hoof, detail=True) for x in (-0.26, 0.14, -0.4, 0.28)]
    return [*parts, *_eye(0.44, 0.86, 0.025, colour)]


def elephant(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """An elephant in profile: heavy legs, a large ear, a tusk, a trunk that curls at its end."""
    dark = _shaded(colour)
    end = rng.uniform(0.06, 0.2)
    return [
        Part("tail", limb((-0.6, 0.6), (-0.72, 0.34), 0.04), dark),
        Part("leg", limb((-0.3, 0.09), (-0.3, 0.4), 0.2), dark),
        Part("leg", limb((0.22, 0.09), (0.2, 0.4), 0.2), dark),
        Part("leg", limb((-0.46, 0.09), (-0.44, 0.4), 0.22), colour),
        Part("leg", limb((0.06, 0.09), (0.06, 0.4), 0.22), colour),
        Part("body", ellipse(-0.16, 0.58, 0.48, 0.36), colour),
        Part("trunk", limb((0.64, 0.24), (0.76, end), 0.1), colour),
        Part("trunk", limb((0.6, 0.58), (0.64, 0.2), 0.14), colour),
        Part("head", ellipse(0.4, 0.7, 0.26, 0.25), colour),
        Part("trunk", limb((0.52, 0.62), (0.61, 0.42), 0.12), colour, seam=True),
        Part("trunk", limb((0.64, 0.25), (0.67, 0.2), 0.07), colour, seam=True),
        Part("tusk", polygon((0.46, 0.5), (0.55, 0.52), (0.76, 0.4), (0.74, 0.36)), PALE),
        Part("ear", ellipse(0.22, 0.68, 0.17, 0.24, 0.1), dark),
        *_eye(0.5, 0.76, 0.032, colour),
    ]


def fish(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A fish from the side: tail and fins in a darker tone, stripes, a round eye."""
    dark = _shaded(colour)
    stripe = shade(colour, 1.5 if min(colour) < 220 else 0.86)
    body = ellipse(0.14, 0.5, 0.66, 0.36, count=36)
    parts = [
        Part("tail", polygon((-0.4, 0.5), (-0.84, 0.9), (-0.7, 0.5), (-0.84, 0.1)), dark),
        Part("fin", polygon((-0.24, 0.76), (-0.06, 1.0), (0.28, 0.96), (0.4, 0.78)), dark),
        Part("fin", polygon((0.0, 0.2), (-0.12, 0.0), (0.12, 0.02), (0.28, 0.18)), dark),
        Part("body", body, colour),
    ]
    for x in (-0.22, 0.06):
        half = 0.36 * float(np.sqrt(max(0.0, 1 - ((x + 0.04 - 0.14) / 0.66) ** 2))) * 0.92
        parts.append(Part("stripe", ellipse(x + 0.04, 0.5, 0.055, half), stripe, detail=True))
    return [
        *parts,
        Part("fin", polygon((0.3, 0.5), (0.06, 0.56), (0.1, 0.34)), dark, detail=True),
        Part("eye", ellipse(0.54, 0.6, 0.085, 0.09, count=16), PALE, detail=True, rigid=True),
        Part("eye", ellipse(0.56, 0.6, 0.042, 0.048, count=12), DARK, detail=True, rigid=True),
        Part("mouth", limb((0.62, 0.38), (0.72, 0.42), 0.03), against(colour, DARK, PALE), detail=True),
    ]


def butterfly(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A butterfly with open wings: spots on four wings, a dark body, feelers."""
    low = _shaded(colour)
    spot = against(colour, PALE, (240, 200, 90)) if min(colour) < 200 else (226, 130, 90)
    body = against(colour, DARK, (150, 120, 90))
    parts = []
    for side in (-1.0, 1.0):
        parts.append(Part("feeler", limb((side * 0.02, 0.8), (side * 0.16, 0.98), 0.03), body, detail=True))
        parts.append(Part("wing", ellipse(side * 0.26, 0.28, 0.24, 0.2, side * 0.9, 24), low))
        parts.append(Part("wing", ellipse(side * 0.3, 0.64, 0.3, 0.22, side * 0.62, 28), colour))
        parts.append(Part("spot", ellipse(side * 0.36, 0.69, 0.1, 0.09, count=16), spot, detail=True))
        parts.append(Part("spot", ellipse(side * 0.27, 0.26, 0.07, 0.065, count=14), spot, detail=True))
    parts.append(Part("body", limb((0, 0.2), (0, 0.74), 0.1), body))
    parts.append(Part("head", ellipse(0, 0.8, 0.075, 0.075, count=16), body))
    return parts
