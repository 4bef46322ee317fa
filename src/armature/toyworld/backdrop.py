"""Sky and ground of a scene, with what hangs in the one and lies on the other."""

from __future__ import annotations

import cv2
import numpy as np

from armature.toyworld.canvas import Canvas
from armature.toyworld.layout import Plan
from armature.toyworld.palette import BACKDROP_COLOURS, CLASS_INDEX, GROUND_COLOURS, RGB, SKY_COLOURS
from armature.toyworld.shapes import ellipse, shade
from armature.toyworld.style import Look

# The sun by day and at sunset, the moon at night.
_LIGHTS: dict[str, RGB] = {"day": (255, 232, 120), "sunset": (255, 214, 130), "night": (238, 236, 210)}


def draw_backdrop(canvas: Canvas, plan: Plan, look: Look) -> None:
    """Paint sky, sun or moon, clouds, hills and ground; owners are the class numbers of sky and ground."""
    rng = np.random.default_rng(plan.seed)
    _sky(canvas, plan, look)
    _heavens(canvas, plan, rng)
    if plan.hills:
        _hills(canvas, plan, look, rng)
    _ground(canvas, plan, look, rng)


def _sky(canvas: Canvas, plan: Plan, look: Look) -> None:
    high, low = (np.array(c, np.float32) for c in SKY_COLOURS[plan.time])
    if look.style == "pastel":
        high, low = high * 0.7 + 74, low * 0.7 + 74
    t = np.clip(np.arange(canvas.side, dtype=np.float32) / (plan.horizon * canvas.side / plan.size), 0, 1)
    column = high + (low - high) * t[:, None]
    cv2.resize(
        column[:, None, :].astype(np.uint8), (canvas.side, canvas.side), canvas.rgb, interpolation=cv2.INTER_NEAREST
    )
    canvas.owner[:] = CLASS_INDEX["sky"]


def _heavens(canvas: Canvas, plan: Plan, rng: np.random.Generator) -> None:
    size, light = plan.size, plan.light
    if plan.time == "night":
        for _ in range(int(rng.integers(6, 13))):
            star = ellipse(
                rng.uniform(0, size), rng.uniform(0, plan.horizon * 0.8), 0.006 * size, 0.006 * size, count=8
            )
            canvas.paint(star, (236, 236, 214))
    if light is not None:
        canvas.fill(ellipse(light.x, light.y, light.size, light.size), _LIGHTS[plan.time], None)
    tone = (192, 198, 206) if plan.time == "overcast" else (250, 252, 254)
    for cloud in plan.clouds:
        _cloud(canvas, cloud.x, cloud.y, cloud.size, tone)


def _cloud(canvas: Canvas, x: float, y: float, scale: float, tone: tuple[int, int, int]) -> None:
    puffs = ((-0.075, 0.006, 0.045), (0.075, 0.006, 0.045), (0.0, -0.014, 0.062))
    for dx, dy, r in puffs:
        canvas.fill(ellipse(x + dx * scale, y + dy * scale, r * 1.25 * scale, r * 0.75 * scale), tone, None)
    # One belly over the seams, so that the cloud's map shows its rim only.
    belly = ellipse(x, y + 0.004 * scale, 0.095 * scale, 0.03 * scale)
    canvas.erase_lines(belly)
    canvas.paint(belly, tone)


def _hills(canvas: Canvas, plan: Plan, look: Look, rng: np.random.Generator) -> None:
    size, ground = plan.size, CLASS_INDEX[plan.ground]
    colour = BACKDROP_COLOURS[plan.ground]
    if plan.ground == "street":
        _skyline(canvas, plan, look, rng)
        return
    for _ in range(int(rng.integers(1, 3))):
        x = rng.uniform(0, size)
        hill = ellipse(
            x, plan.horizon + 0.06 * size, rng.uniform(0.3, 0.55) * size, rng.uniform(0.10, 0.2) * size, count=48
        )
        tone = shade(colour, rng.uniform(0.92, 1.06))
        outline, width = look.contour(tone)
        canvas.fill(hill, look.surface(tone), ground, outline=outline, outline_width=width)


def _skyline(canvas: Canvas, plan: Plan, look: Look, rng: np.random.Generator) -> None:
    size, x = plan.size, -0.05 * plan.size
    while x < size:
        wide, high = rng.uniform(0.10, 0.2) * size, rng.uniform(0.06, 0.2) * size * min(1.0, 2 * plan.horizon / size)
        tone = shade(BACKDROP_COLOURS["street"], rng.uniform(0.86, 1.1))
        y = plan.horizon
        block = np.array([[x, y + 4], [x, y - high], [x + wide, y - high], [x + wide, y + 4]])
        outline, width = look.contour(tone)
        canvas.fill(block, look.surface(tone), CLASS_INDEX["street"], outline=outline, outline_width=width)
        x += wide + rng.uniform(-0.01, 0.06) * size


def _ground(canvas: Canvas, plan: Plan, look: Look, rng: np.random.Generator) -> None:
    size, owner = plan.size, CLASS_INDEX[plan.ground]
    base = GROUND_COLOURS[plan.ground]
    x = np.linspace(-0.04 * size, 1.04 * size, 24)
    bump = 0.0 if plan.ground in ("water", "street") else rng.uniform(0.0, 0.02) * size
    y = plan.horizon + bump * np.sin(x / size * rng.uniform(3, 7) + rng.uniform(0, 6))
    edge = np.stack([x, y], 1)
    low = np.array([[1.04 * size, 1.06 * size], [-0.04 * size, 1.06 * size]])
    outline, width = look.contour(base)
    canvas.fill(np.concatenate([edge, low]), look.surface(base), owner, outline=outline, outline_width=width)
    if plan.ground == "street":
        _lane(canvas, plan, look)
    elif plan.ground == "water":
        for _ in range(int(rng.integers(4, 8))):
            wave_y = rng.uniform(plan.horizon + 0.04 * size, 0.98 * size)
            wave = ellipse(rng.uniform(0, size), wave_y, rng.uniform(0.05, 0.11) * size, 0.008 * size)
            canvas.paint(wave, look.surface(shade(base, 1.3)))
    else:
        tone = look.surface(shade(base, 0.93))
        for _ in range(int(rng.integers(2, 5))):
            y0 = rng.uniform(plan.horizon + 0.06 * size, 0.98 * size)
            canvas.paint(ellipse(rng.uniform(0, size), y0, rng.uniform(0.08, 0.2) * size, 0.018 * size), tone)


def _lane(canvas: Canvas, plan: Plan, look: Look) -> None:
    size = plan.size
    y = plan.horizon + 0.55 * (size - plan.horizon)
    for x in np.arange(0.02, 1.0, 0.25) * size:
        dash = np.array(
            [[x, y], [x + 0.13 * size, y], [x + 0.12 * size, y + 0.022 * size], [x - 0.01 * size, y + 0.022 * size]]
        )
        canvas.fill(dash, look.surface((232, 230, 214)), None, detail=True)
