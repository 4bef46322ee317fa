"""Builds source archive and wheel, looks into the wheel, and draws a picture with it: python .ci/check_package.py OUT.

The wheel goes into an environment of its own, which holds what the wheel's metadata require and nothing else. These
libraries are linked in from the environment that runs this file, so that hundreds of megabytes are installed once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
NAME = "armature-diffusion"
# An index takes 100 MB at most unless it is asked for more.
LIMIT = 95_000_000


def main() -> None:
    """Build, look, install, draw; ends with an error that says what is wrong."""
    out = Path(sys.argv[1]).resolve()
    for old in out.glob("armature_diffusion-*"):
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", out, ROOT)
    (wheel,), (archive,) = out.glob("*.whl"), out.glob("*.tar.gz")
    look_into(wheel)
    with tempfile.TemporaryDirectory() as folder:
        draw(wheel, Path(folder))
    for path in (wheel, archive):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")


def look_into(wheel: Path) -> None:
    """The wheel holds every file of the package that is in the repository, nothing beside it, and is small enough."""
    listed = run("git", "-C", ROOT, "ls-files", "src/armature").split()
    wanted = {path.removeprefix("src/") for path in listed}
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert "armature/py.typed" in wanted
    assert "armature/embedded/weights/base/model_index.json" in wanted
    assert inside == wanted, f"missing: {sorted(wanted - inside)}; surplus: {sorted(inside - wanted)}"
    size = wheel.stat().st_size
    assert size <= LIMIT, f"{wheel.name} has {size / 1e6:.1f} MB; at most {LIMIT / 1e6:.0f} are allowed"


def draw(wheel: Path, folder: Path) -> None:
    """Install the wheel by itself and let its command line draw a sketch's picture, away from the repository."""
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    packages = next((folder / "venv" / "lib").glob("python*/site-packages"))
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", packages, wheel)
    for name in required(metadata.Distribution.at(next(packages.glob("armature_diffusion-*.dist-info")))):
        link(name, packages)
    python = folder / "venv" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def armature(*words: str) -> str:
        return run(python, "-m", "armature", *words, cwd=folder, env=environment)

    code = "from importlib.metadata import version; import armature; print(version('armature-diffusion'), end='')"
    version = run(python, "-c", code, cwd=folder, env=environment)
    assert armature("--version") == f"armature {version}\n"
    armature("doctor")
    drawing = packages / "armature" / "embedded" / "drawings" / "house.png"
    words = ("a red house on grass", "--control", f"sketch={drawing}", "--seed", "7", "--steps", "4")
    assert armature("generate", *words, "--out", "house.png") == "house.png\n"
    assert (folder / "house.png").read_bytes().startswith(b"\x89PNG")


def required(distribution: metadata.Distribution) -> list[str]:
    """Names of all distributions that a distribution needs without extras, through any number of others."""
    seen: set[tuple[str, str]] = set()
    # The extras asked for count as well: httpx[http2] needs more than httpx.
    waiting: list[tuple[metadata.Distribution, str]] = [(distribution, "")]
    while waiting:
        current, extra = waiting.pop()
        for need in map(Requirement, current.requires or ()):
            if need.marker is not None and not need.marker.evaluate({"extra": extra}):
                continue
            found = metadata.distribution(need.name)
            assert need.specifier.contains(found.version, prereleases=True), f"{need} is asked for, not {found.version}"
            for one in {(need.name, asked) for asked in ("", *need.extras)} - seen:
                seen.add(one)
                waiting.append((found, one[1]))
    return sorted({name for name, _ in seen})


def link(name: str, packages: Path) -> None:
    """Make one installed distribution importable from another site-packages."""
    distribution = metadata.distribution(name)
    files = [Path(str(file)) for file in distribution.files or ()]
    assert files, f"{name} does not list its files"
    for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
        target = packages / top
        if not target.exists():
            target.symlink_to(Path(str(distribution.locate_file(top))).resolve())


def run(*words: object, **options: Any) -> str:
    """What a command prints; one that fails shows its errors too, and ends this program."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise SystemExit(f"{' '.join(str(word) for word in words)} ended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()
