"""Kinds and extractors of other packages: registered or found as entry points, in every room and every process."""

import json
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from drawings import photo

from armature import Extractor, InputContract, Kind, register
from armature.conditions.extract import extract
from armature.conditions.folder import Job, extract_folder
from armature.conditions.kinds import KINDS, canonical_kind, kind_in_source
from armature.conditions.registry import EXTRACTORS, default_extractor, find_extractor, unregister
from armature.errors import ConditionError

NORMAL = InputContract("slope", 3, "RGB")


def slopes(picture):
    """Which way tones rise: a stand-in for a network that tells surface normals; RGB."""
    from PIL import Image

    tones = np.asarray(picture.convert("L"), dtype=np.float32)
    down, right = np.gradient(tones)
    return Image.fromarray(np.stack([128 + right / 2, 128 + down / 2, tones], axis=-1).clip(0, 255).astype(np.uint8))


KIND = Kind("slope", "which way tones rise", NORMAL, aliases=("incline",), extractor="slope", measure="map_error")
EXTRACTOR = Extractor("slope", "slope", "slopes", run=slopes, contract=NORMAL, aliases={"my-slopes": {}})


@pytest.fixture
def registered():
    register(KIND, EXTRACTOR)
    yield
    unregister(KIND, EXTRACTOR)


def test_what_is_registered_is_known_by_all_its_names(registered):
    assert canonical_kind("Incline") == "slope"
    assert kind_in_source("models/adapter-slope-v1.safetensors") == "slope"
    assert find_extractor("my_slopes").name == find_extractor("incline").name == default_extractor("slope") == "slope"
    assert KINDS.names()[-1] == EXTRACTORS.names()[-1] == "slope"
    np.testing.assert_array_equal(np.asarray(extract("incline", photo(32))), np.asarray(slopes(photo(32))))


def test_what_is_taken_back_is_unknown():
    with pytest.raises(ConditionError, match="Unknown kind of control 'slope'"):
        canonical_kind("slope")
    with pytest.raises(ConditionError, match="No kind of control 'slope' was registered here"):
        unregister(KIND)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (Kind("depth", "mine", NORMAL), "The kind of control 'depth' exists; choose another name for 'depth'"),
        (Kind("mine", "mine", NORMAL, aliases=("Midas",)), r"The kind of control 'midas' \(depth\) exists; .* 'mine'"),
        (Extractor("zoe", "depth", "mine", slopes, NORMAL), r"The extractor 'zoe' \(depth\) exists"),
        ("slope", "A str was registered; expected a Kind or an Extractor"),
    ],
)
def test_names_that_are_taken_and_other_things_are_refused(thing, message):
    with pytest.raises(ConditionError, match=message):
        register(thing)
    assert "mine" not in KINDS.names()


def test_what_is_registered_works_in_worker_processes(tmp_path, registered):
    (tmp_path / "in").mkdir()
    for seed in range(3):
        photo(32, seed).save(tmp_path / "in" / f"{seed}.png")
    report = extract_folder(Job("incline"), tmp_path / "in", tmp_path / "out", jobs=2)
    assert [path.name for path in report.written] == ["0.png", "1.png", "2.png"]


def test_what_cannot_reach_worker_processes_is_told(tmp_path):
    local = Extractor("local", "grey", "a function of this test alone", run=lambda picture: picture, contract=NORMAL)
    (tmp_path / "in").mkdir()
    for seed in range(2):
        photo(32, seed).save(tmp_path / "in" / f"{seed}.png")
    register(local)
    try:
        with pytest.raises(ConditionError, match="registered as 'local' cannot reach other processes: define its func"):
            extract_folder(Job("local"), tmp_path / "in", tmp_path / "out", jobs=2)
        assert len(extract_folder(Job("local"), tmp_path / "in", tmp_path / "out").written) == 2
    finally:
        unregister(local)


def test_what_workers_cannot_import_is_told(tmp_path):
    """A program that was typed in has no file from which a worker could take its functions."""
    code = """
        import sys
        from pathlib import Path
        from armature import Extractor, InputContract, register
        from armature.conditions.folder import Job, extract_folder
        from armature.errors import ConditionError
        def mine(picture):
            return picture
        register(Extractor("mine", "grey", "typed in", run=mine, contract=InputContract("grey", 1, "L")))
        try:
            extract_folder(Job("mine"), Path(sys.argv[1]), Path(sys.argv[2]), jobs=2)
        except ConditionError as error:
            print(error)
    """
    (tmp_path / "in").mkdir()
    for seed in range(2):
        photo(32, seed).save(tmp_path / "in" / f"{seed}.png")
    told = run(tmp_path, "-c", textwrap.dedent(code), tmp_path / "in", tmp_path / "out")
    assert "A process that extracts mine maps ended unexpectedly. What was registered as 'mine' cannot" in told.stdout


def test_records_travel_between_processes():
    for thing in (*KINDS, *EXTRACTORS):
        assert pickle.loads(pickle.dumps(thing)) == thing


# A package of another author: one file, one dist-info folder; nothing of Armature is touched.
MODULE = """
import numpy as np
from PIL import Image
from armature import Extractor, InputContract, Kind, Option

CONTRACT = InputContract("slope", 3, "RGB")

def slopes(picture, gain):
    tones = np.asarray(picture.convert("L"), dtype=np.float32)
    down, right = np.gradient(tones)
    values = np.stack([128 + gain * right, 128 + gain * down, tones], axis=-1)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))

KIND = Kind("slope", "which way tones rise", CONTRACT, extractor="slope", measure="map_error")
EXTRACTOR = Extractor(
    "slope", "slope", "slopes of the tones", run=slopes, contract=CONTRACT,
    options=(Option("gain", 0.5, "strength", 0, 4),),
)
"""
ENTRY_POINTS = """
[armature.kinds]
slope = slopes_for_armature:KIND
[armature.extractors]
slope = slopes_for_armature:EXTRACTOR
"""
BROKEN = """
[armature.kinds]
broken = no_such_module:KIND
[armature.extractors]
taken = broken_for_armature:EXTRACTOR
nothing = broken_for_armature:NOTHING
"""


def install(site, name, module, entry_points):
    """What an installer leaves of a package."""
    (site / f"{name}.py").write_text(module)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def run(site, *arguments, **options):
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False, **options
    )


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "slopes_for_armature", MODULE, ENTRY_POINTS)
    return folder


def test_an_installed_package_works_on_the_command_line_and_in_its_workers(site, tmp_path):
    (tmp_path / "in").mkdir()
    for seed in range(2):
        photo(32, seed).save(tmp_path / "in" / f"{seed}.png")
    done = run(
        site, "-m", "armature", "extract", "slope", tmp_path / "in", "--out", tmp_path / "out", "-j", 2, "-s",
        "gain=1.5", "--json",
    )  # fmt: skip
    assert (done.returncode, json.loads(done.stdout or "{}").get("written")) == (0, 2), done.stderr
    listed = run(site, "-m", "armature", "list", "extractors", "--json")
    assert {row["name"]: row["kind"] for row in json.loads(listed.stdout)}["slope"] == "slope"


USE = """
import numpy as np, torch
import armature
from armature.bases.families import family_named
from armature.adapters.base import AdapterCard
from armature.adapters.registry import build_adapter
from armature.adapters.networks.full import FullSpec
from armature.conditions.kinds import contract_for, find_kind
from armature.data.samples.dataset import open_dataset
from armature.data.settings import DataSettings
from armature.evaluation.fidelity import fidelity_of, usual_extractor
from armature.toyworld import scene

torch.set_num_threads(1)
drawn = scene(3, 128)
map_ = armature.extract("slope", drawn.picture)
assert map_.mode == "RGB", map_.mode

pipe = armature.embedded_pipeline()
pipe.set_progress_bar_config(disable=True)
widths = pipe.unet.config.block_out_channels
torch.manual_seed(0)
card = AdapterCard(kind="slope", family="sd", contract=contract_for("slope"))
adapter = build_adapter(FullSpec(3, widths, blocks=1), card)

call = dict(num_inference_steps=1, output_type="np", guidance_scale=1.0)
def draw():
    return pipe(drawn.caption, generator=torch.Generator().manual_seed(0), **call).images[0]
plain = draw()
with armature.attach(pipe, armature.Control(adapter, map_)):
    assert np.abs(draw() - plain).max() > 0
assert np.array_equal(draw(), plain)

request = ("slope", drawn.picture, {"extract": True})
made = armature.generate("a red house", request, adapters={"slope": adapter}, num_inference_steps=1, seed=0)
assert made.settings.to_record()["controls"][0]["extractor"] == "slope"

data = open_dataset(
    DataSettings(source="toyworld", count=4, resolution=128, held_out=0, extractor="slope", flip="never"),
    kind="slope", contract=contract_for("slope"), family=family_named("sd"), stride=8, seed=0,
)
frame = data.load(0)
assert np.array_equal(frame.control, np.asarray(armature.extract("slope", frame.pixels)))

measure = fidelity_of("slope", embedded=True)
assert (measure.name, measure.extractor) == ("map_error", "slope")
assert measure.score(frame.control, frame.pixels) == 0
assert measure.score(255 - frame.control, frame.pixels) > 0.1
print("used")
"""


def test_an_installed_package_works_in_every_room(site, tmp_path):
    """One kind and one extractor of another package: extracted, attached, generated with, trained on and measured."""
    (tmp_path / "use.py").write_text(USE)
    done = run(site, tmp_path / "use.py", timeout=300)
    assert done.stdout.strip().endswith("used"), done.stderr[-2000:]


def test_a_package_that_cannot_be_used_is_told_and_harms_no_other(site, tmp_path):
    module = 'from armature import Extractor, InputContract\nEXTRACTOR = Extractor("canny", "canny", "mine", run=print,'
    install(site, "broken_for_armature", f'{module} contract=InputContract("canny", 1, "L"))\nNOTHING = 3\n', BROKEN)
    photo(32).save(tmp_path / "a.png")
    assert run(site, "-m", "armature", "extract", "slope", tmp_path / "a.png", "-o", tmp_path / "m.png").returncode == 0
    code = """
        from armature.conditions.kinds import find_kind
        from armature.conditions.registry import find_extractor
        from armature.errors import ConditionError
        for find in (find_kind, find_extractor):
            try:
                find("nix")
            except ConditionError as error:
                print(error)
        print(find_extractor("canny").summary)
    """
    told = run(site, "-c", textwrap.dedent(code)).stdout
    assert "known kinds: sketch," in told
    assert "The kind of control 'broken' of broken-for-armature (no_such_module:KIND) cannot be used (ModuleN" in told
    assert "The extractor 'canny' exists; choose another name for 'canny'" in told
    assert "it is a int, not a Extractor" in told
    assert told.strip().endswith("Canny edges, one pixel wide")
