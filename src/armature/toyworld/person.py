"""People of toyworld: a skeleton of 18 joints in a random pose, and the parts drawn over it."""

from __future__ import annotations

import numpy as np

from armature.toyworld.palette import RGB
from armature.toyworld.shapes import Part, ellipse, limb, polygon, shade

JOINTS: tuple[str, ...] = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
SKINS: tuple[RGB, ...] = ((250, 214, 182), (226, 172, 128), (168, 112, 76), (112, 74, 52))
HAIRS: tuple[RGB, ...] = ((52, 40, 38), (126, 78, 40), (222, 178, 82), (170, 70, 40))
TROUSERS: tuple[RGB, ...] = ((58, 66, 104), (88, 82, 84), (70, 98, 92))


def _swing(origin: np.ndarray, angle: float, length: float) -> np.ndarray:
    """The far end of a bone; angle 0 hangs straight down, positive swings to the right of the picture."""
    return origin + length * np.array([np.sin(angle), -np.cos(angle)])


def pose(rng: np.random.Generator) -> np.ndarray:
    """Random pose: (18, 2) joints in unit space, feet near y = 0, the person's right on the picture's left."""
    joints = np.zeros((18, 2))
    lean = rng.normal(0, 0.05)
    hip = np.array([0.0, 0.46])
    neck = hip + 0.31 * np.array([np.sin(lean), np.cos(lean)])
    joints[1] = neck
    joints[[2, 5]] = neck + [[-0.115, -0.015], [0.115, -0.015]]
    joints[[8, 11]] = hip + [[-0.07, 0.0], [0.07, 0.0]]
    gesture = rng.integers(6)
    # Upper arm and forearm angles, measured outwards from hanging down, for each side.
    hang = [(rng.uniform(0.1, 0.45), rng.uniform(0.0, 0.5)) for _ in range(2)]
    wave = (rng.uniform(1.5, 2.2), rng.uniform(2.4, 3.2))
    arms = {
        0: hang,
        1: [wave, hang[1]],
        2: [hang[0], wave],
        3: [(rng.uniform(1.9, 2.6), rng.uniform(2.4, 3.1)) for _ in range(2)],
        4: [(rng.uniform(0.7, 1.0), rng.uniform(-1.1, -0.8)) for _ in range(2)],
        5: [(rng.uniform(1.2, 1.6), rng.uniform(1.3, 1.7)) for _ in range(2)],
    }[int(gesture)]
    for side, shoulder, (upper, fore) in ((-1, 2, arms[0]), (1, 5, arms[1])):
        joints[shoulder + 1] = _swing(joints[shoulder], side * upper, 0.165)
        joints[shoulder + 2] = _swing(joints[shoulder + 1], side * fore, 0.155)
    stride = rng.uniform(0.03, 0.38)
    for side, hip_joint in ((-1, 8), (1, 11)):
        thigh = side * stride * rng.uniform(0.7, 1.1)
        joints[hip_joint + 1] = _swing(joints[hip_joint], thigh, 0.225)
        joints[hip_joint + 2] = _swing(joints[hip_joint + 1], thigh * rng.uniform(0.0, 1.0), 0.215)
    head = neck + [lean * 0.1 + rng.normal(0, 0.008), 0.115]
    look = rng.uniform(-0.02, 0.02)
    joints[0] = head + [look, -0.012]
    joints[[14, 15]] = head + [[look - 0.036, 0.022], [look + 0.036, 0.022]]
    joints[[16, 17]] = head + [[-0.088, 0.005], [0.088, 0.005]]
    joints[:, 1] -= joints[[10, 13], 1].min() - 0.03
    return joints


def person(rng: np.random.Generator, colour: RGB, joints: np.ndarray) -> list[Part]:
    """A figure in a pullover of the colour, drawn along the joints."""
    skin = SKINS[rng.integers(len(SKINS))]
    hair = HAIRS[rng.integers(len(HAIRS))]
    trousers = TROUSERS[rng.integers(len(TROUSERS))]
    j = [(float(x), float(y)) for x, y in joints]
    head = (float(joints[[16, 17], 0].mean()), float(joints[0, 1] + 0.012))
    parts = []
    for hip, knee, ankle in ((8, 9, 10), (11, 12, 13)):
        parts.append(Part("leg", limb(j[knee], j[ankle], 0.095), trousers))
        parts.append(Part("leg", limb(j[hip], j[knee], 0.105), trousers))
        parts.append(
            Part(
                "foot",
                ellipse(j[ankle][0] + (0.02 if ankle == 13 else -0.02), j[ankle][1] - 0.01, 0.065, 0.035),
                (60, 46, 44),
            )
        )
    shoulders, hips = joints[[2, 5]], joints[[11, 8]]
    torso = np.concatenate([shoulders + [[-0.03, 0.035], [0.03, 0.035]], hips + [[0.045, -0.03], [-0.045, -0.03]]])
    parts.append(Part("neck", limb(j[1], head, 0.07), skin, detail=True))
    parts.append(Part("torso", torso, colour))
    for shoulder, elbow, wrist in ((2, 3, 4), (5, 6, 7)):
        parts.append(Part("hand", ellipse(*j[wrist], 0.045, 0.045, count=14), skin))
        parts.append(Part("arm", limb(j[shoulder], j[elbow], 0.085), shade(colour, 0.84)))
        parts.append(Part("arm", limb(j[elbow], j[wrist], 0.075), shade(colour, 0.84)))
    parts.append(Part("hair", ellipse(head[0], head[1] + 0.018, 0.108, 0.108), hair))
    parts.append(Part("head", ellipse(*head, 0.092, 0.096), skin))
    fringe = polygon((-0.09, 0.035), (0.09, 0.035), (0.07, 0.1), (-0.07, 0.1)) + head
    parts.append(Part("hair", fringe, hair, detail=True))
    for eye in (14, 15):
        parts.append(
            Part("eye", ellipse(j[eye][0], j[eye][1] - 0.012, 0.014, 0.018, count=10), (40, 36, 40), detail=True)
        )
    return parts
