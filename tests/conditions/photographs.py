"""Photographs of drawings, made by program: a sheet seen at a slant on a table, in uneven light."""

from typing import NamedTuple

import cv2
import numpy as np


class Photograph(NamedTuple):
    """picture: (h, w, 3) uint8. strokes, sheet: bool (h, w), where they truly are."""

    picture: np.ndarray
    strokes: np.ndarray
    sheet: np.ndarray


def strokes_on_paper(rng, size):
    """Ink (h, w) in 0..1: a house, a sun and a few curves, each stroke some pixels wide."""
    height, width = size
    ink = np.zeros(size, np.uint8)
    wide = max(2, round(max(size) / rng.integers(110, 200)))

    def line(points):
        whole = (np.array(points) * (width, height) * 16).astype(np.int32)
        cv2.polylines(ink, [whole], False, 255, wide, cv2.LINE_AA, 4)

    line([(0.2, 0.8), (0.2, 0.5), (0.4, 0.3), (0.6, 0.5), (0.6, 0.8), (0.2, 0.8)])
    line([(0.2, 0.5), (0.6, 0.5)])
    line([(0.35, 0.8), (0.35, 0.62), (0.46, 0.62), (0.46, 0.8)])
    turn = np.linspace(0, 2 * np.pi, 60)
    line(np.stack([0.78 + 0.08 * np.cos(turn), 0.25 + 0.08 * np.sin(turn)], -1))
    for _ in range(3):
        start = rng.uniform(0.12, 0.6, 2)
        at = np.linspace(0, 1, 40)[:, None]
        bend = np.concatenate([at * rng.uniform(0.1, 0.3), 0.08 * np.sin(7 * at + rng.uniform(0, 6))], 1)
        line(start + bend)
    return ink / 255.0


def table_of(name, size, rng):
    """(h, w, 3) in 0..1."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    if name == "wood":
        grain = cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), sigmaX=width / 12, sigmaY=1.2)
        rings = np.sin(y / height * 60 + 3 * np.sin(x / width * 5))
        return np.array([0.55, 0.36, 0.2]) * (1 + 0.9 * grain + 0.12 * rings)[..., None]
    if name == "cloth":
        checks = ((x // (width / 14)).astype(int) + (y // (width / 14)).astype(int)) % 2
        return np.where(checks[..., None] > 0, np.array([0.2, 0.3, 0.6]), np.array([0.62, 0.62, 0.68]))
    if name == "dark":
        return np.full((*size, 3), 0.09) + rng.normal(0, 0.01, (*size, 1))
    if name == "light":
        return np.array([0.72, 0.64, 0.5]) * (1 + 0.02 * rng.normal(size=(*size, 1)))
    speckle = cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), 1.5)
    return np.array([0.45, 0.45, 0.47]) * (1 + 0.8 * speckle[..., None])


def photograph(
    table="wood", seed=0, size=(384, 512), tilt=0.08, margin=0.12, shift=(0.0, 0.0), shadow=True, blank=False
):
    """A photograph of a drawing. tilt: how far corners are moved, and margin: how much of the table is seen, in shares
    of the picture. shift: of the sheet; parts of it may lie outside.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    paper = (round(height * 1.2), round(width * 1.2))
    ink = strokes_on_paper(rng, paper) if not blank else np.zeros(paper)
    corners = np.array([[0, 0], [paper[1], 0], [paper[1], paper[0]], [0, paper[0]]], np.float32)
    seen = np.array([[margin, margin], [1 - margin, margin], [1 - margin, 1 - margin], [margin, 1 - margin]])
    seen = (seen + rng.uniform(-tilt, tilt, (4, 2)) + shift) * (width, height)
    matrix = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    ink = cv2.warpPerspective(ink, matrix, (width, height), flags=cv2.INTER_AREA)
    cover = cv2.warpPerspective(np.ones(paper), matrix, (width, height), flags=cv2.INTER_AREA)
    sheet = np.array([0.97, 0.95, 0.92]) * (1 - 0.85 * ink[..., None]) + np.array([0.02, 0.02, 0.06]) * ink[..., None]
    scene = table_of(table, size, rng)
    # The sheet's own shadow on the table.
    below = cv2.GaussianBlur(np.roll(cover, (4, 3), (0, 1)), (0, 0), 3.0)
    scene = scene * (1 - 0.35 * below[..., None])
    scene = scene * (1 - cover[..., None]) + sheet * cover[..., None]
    y, x = np.mgrid[:height, :width] / max(height, width)
    turn = rng.uniform(0, 2 * np.pi)
    light = 0.8 + 0.22 * ((x - 0.5) * np.cos(turn) + (y - 0.4) * np.sin(turn))
    if shadow:
        edge = (x - 0.35) * np.sin(turn) - (y - 0.3) * np.cos(turn)
        light = light * (1 - 0.3 / (1 + np.exp(-edge / 0.05)))
    scene = scene * light[..., None] * np.array([1.0, 0.97, 0.9])
    scene = cv2.GaussianBlur(scene, (0, 0), 0.8) + rng.normal(0, 0.012, scene.shape)
    picture = np.clip(np.rint(255 * scene), 0, 255).astype(np.uint8)
    return Photograph(picture, ink > 0.5, cover > 0.5)
