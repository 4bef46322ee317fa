"""OpenPose JSON: absurd coordinates, scores, canvases and counts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from armature.conditions.pose.drawing import draw_pose
from armature.conditions.pose.pose import read_poses, write_poses
from fuzz.kind import INPUT, OUT, Kind
from fuzz.mutate import NUMBERS, Raw, damaged, json_text, odd_json, odd_value, one_of


def _person(rng: random.Random, joints: int) -> dict[str, Any]:
    flat = [round(rng.uniform(0, 500), 2) if place % 3 < 2 else rng.random() for place in range(3 * joints)]
    return {"person_id": [-1], "pose_keypoints_2d": flat, "hand_left_keypoints_2d": []}


def _sheet(rng: random.Random) -> Any:
    people = [_person(rng, rng.choice((18, 25))) for _ in range(rng.choice((0, 1, 1, 2, 5)))]
    sheet: dict[str, Any] = {"version": 1.3, "people": people}
    if rng.random() < 0.6:
        sheet |= {"canvas_height": rng.choice((64, 512)), "canvas_width": rng.choice((48, 512))}
    return [sheet] if rng.random() < 0.3 else sheet


def _numbers(rng: random.Random) -> bytes:
    """The right form, and numbers in it that are none."""
    sheet = _sheet(rng)
    inner = sheet[0] if isinstance(sheet, list) else sheet
    for person in inner["people"]:
        flat = person["pose_keypoints_2d"]
        for _ in range(rng.choice((1, 3, 30))):
            flat[rng.randrange(len(flat))] = rng.choice((Raw(rng.choice(NUMBERS)), odd_value(rng), True, None))
    if rng.random() < 0.4:
        inner[rng.choice(("canvas_height", "canvas_width"))] = rng.choice((Raw(rng.choice(NUMBERS)), odd_value(rng)))
    return json_text(sheet)


def _write(rng: random.Random, folder: Path) -> None:
    data = one_of(
        rng,
        (4, lambda: _numbers(rng)),
        (4, lambda: odd_json(rng, _sheet(rng))),
        (1, lambda: damaged(rng, json_text(_sheet(rng)))),
        (
            0.5,
            lambda: rng.choice((b"", b"\xff\xfe{}", b"[" * 200_000, b'{"people":' * 50_000, b"\x89PNG\r\n", b"null")),
        ),
        (0.5, lambda: json_text(_sheet(rng)).decode().encode(rng.choice(("utf-16", "utf-8-sig", "utf-32")))),
    )
    (folder / "pose.json").write_bytes(data)


def _use(folder: Path) -> None:
    sheet = read_poses(folder / INPUT / "pose.json")
    write_poses(folder / OUT / "pose.json", sheet)
    again = read_poses(folder / OUT / "pose.json")
    assert len(again.people) == len(sheet.people), "the written poses read back otherwise"
    for size in ((64, 48), sheet.size or (64, 64)):
        draw_pose(sheet.people, size)


KIND = Kind(share=1.5, write=_write, use=_use)
