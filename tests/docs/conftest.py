"""A folder with what a reader of the pages has: some pictures, and the repository's recipes and examples."""

import pytest
from page_blocks import ROOT
from PIL import Image, ImageDraw

from armature.adapters.registry import NETWORKS
from armature.conditions.kinds import KINDS
from armature.conditions.registry import EXTRACTORS, unregister
from armature.data.sources import formats
from armature.data.sources.open import all_formats
from armature.toyworld import scene

HELD_OUT = 10_000_000


@pytest.fixture
def unspoilt():
    """What examples add to Armature (kinds, extractors, networks, formats) is gone afterwards."""
    networks, folders = dict(NETWORKS), list(formats.__path__)
    all_formats.cache_clear()
    yield
    unregister(*KINDS.registered, *EXTRACTORS.registered)
    NETWORKS.clear()
    NETWORKS.update(networks)
    formats.__path__[:] = folders
    all_formats.cache_clear()


@pytest.fixture
def reader(unspoilt, tmp_path, monkeypatch):
    """The reader's own folder, entered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARMATURE_VERBOSE", raising=False)
    for name in ("recipes", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    person = next(one for one in (scene(HELD_OUT + i) for i in range(100)) if one.joints)
    person.image.save("photo.png")
    scene(HELD_OUT).image.save("house.png")
    person.image.save("photo.jpg", quality=95)
    Image.fromarray(person.depth).save("depth.png")
    Image.fromarray(person.sketch).save("sketch.png")
    paper = Image.new("L", (256, 256), 255)
    ImageDraw.Draw(paper).rectangle((60, 100, 190, 220), outline=0, width=5)
    paper.save("drawing.png")
    mask = Image.new("L", (128, 128), 0)
    mask.paste(255, (0, 0, 64, 128))
    mask.save("mask.png")
    for folder, seeds in (("photos", range(4)), ("held_out_photos", range(4, 6))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            one = scene(HELD_OUT + seed)
            one.image.save(f"{folder}/{seed}.png")
            (tmp_path / folder / f"{seed}.txt").write_text(one.caption)
    return tmp_path
