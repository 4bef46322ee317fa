"""Inputs whose use goes wrong in every way that is watched for; only the watch's own test asks for them."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import warnings
from pathlib import Path

from armature.errors import ArmatureError
from fuzz.kind import INPUT, OUT, SECRET, Case, Kind

_COUNT = 12
# Which one a case is, by the first of its random numbers.
_WAYS = {Case("planted", 0, number).rng.random(): number for number in range(_COUNT)}


def _write(rng: random.Random, folder: Path) -> None:
    (folder / "other").write_text("of no use")
    (folder / f"{_WAYS[rng.random()]}.txt").write_bytes(b" " * 19 + b"!" + b" " * 20)


def _use(folder: Path) -> None:
    found = {int(path.stem): path.read_text() for path in (folder / INPUT).glob("*.txt")}
    way = next((way for way, text in found.items() if "!" in text), None)
    while way == 7:
        pass
    match way:
        case 0:
            raise KeyError("planted")
        case 1:
            warnings.warn("planted", stacklevel=1)
        case 2:
            print("planted", file=sys.stderr, flush=True)
        case 3:
            (folder / INPUT / "new").write_text("planted")
        case 4:
            (folder / SECRET / "secret.txt").read_text()
        case 5:
            subprocess.run(["true"], check=True)
        case 6:
            (folder / OUT / ".map.png.tmp").write_text("planted")
        case 8:
            os.abort()
        case 9:
            _ = b"x" * (500 << 20)
        case 10:
            raise ArmatureError("x\n" * 15_000)
        case 11:
            socket.getaddrinfo("127.0.0.1", 80)
    raise ArmatureError("planted")


KIND = Kind(share=0, write=_write, use=_use)
