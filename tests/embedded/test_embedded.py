"""The shipped model for real: it loads unaided, obeys captions, follows sketches, and leaves no trace."""

from itertools import islice

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from typer.testing import CliRunner

import armature
from armature.cli.main import app
from armature.conditions.networks.annotator import load_network
from armature.data.settings import DataSettings
from armature.embedded.paths import (
    DRAWINGS,
    WEIGHTS,
    embedded_adapter_kinds,
    embedded_adapter_path,
    embedded_base_path,
)
from armature.errors import CheckpointError, ConditionError
from armature.evaluation.edges import edge_score, picture_edges
from armature.evaluation.evaluate import evaluate
from armature.evaluation.prompt_alignment import named_things, prompt_alignment
from armature.generation.record import read_settings
from armature.toyworld import scene
from armature.toyworld.palette import CLASS_INDEX, CLASSES, COLOUR_NAMES

HELD_OUT = 10_000_000


@pytest.fixture(scope="module")
def pipe():
    pipe = armature.embedded_pipeline()
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def sketch():
    return armature.load_adapter("embedded:sketch", dtype=torch.float32)


@pytest.fixture(scope="module")
def held_out():
    """Scenes of what the shipped weights were trained on: toyworld may have grown since."""
    network = load_network()
    things, colours = CLASSES[: network.classes], COLOUR_NAMES[: network.colours]
    scenes = (scene(HELD_OUT + 1000 + i) for i in range(1000))
    known = (s for s in scenes if all(t.name in things and t.colour in colours for t in s.objects))
    return list(islice(known, 12))


def draw(pipe, prompts, steps=12):
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(prompts))]
    images = pipe(prompts, num_inference_steps=steps, guidance_scale=2.5, generator=generators, output_type="np").images
    return np.round(images * 255).astype(np.uint8)


def test_diffusers_loads_the_folder_unaided():
    pipe = StableDiffusionPipeline.from_pretrained(embedded_base_path())
    assert pipe.unet.config.down_block_types == [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"]
    assert pipe.vae.config.latent_channels == pipe.unet.config.in_channels == 4
    assert pipe.vae_scale_factor == 8


def test_all_weights_together_stay_within_the_limit():
    total = sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file())
    assert total <= 60e6


def test_the_base_draws_what_captions_name(pipe, held_out):
    pictures = draw(pipe, [s.caption for s in held_out])
    result = prompt_alignment([named_things(s) for s in held_out], load_network().annotate(pictures))
    # Its figures over 200 captions stand in the model card; a dozen captions and fewer steps leave room below them.
    assert result.object_recall > 0.5
    assert result.colour_share > 0.4


def test_the_sketch_adapter_makes_pictures_follow_sketches(pipe, sketch, held_out):
    captions = [s.caption for s in held_out]
    without = draw(pipe, captions)
    with armature.attach(pipe, armature.Control(sketch, [Image.fromarray(s.sketch) for s in held_out])):
        with_sketch = draw(pipe, captions)

    def fidelity(pictures):
        return np.mean([edge_score(s.sketch, picture_edges(p)).f1 for s, p in zip(held_out, pictures, strict=True)])

    assert fidelity(with_sketch) > fidelity(without) + 0.15


def test_weight_zero_and_detaching_leave_the_pictures_bit_identical(pipe, sketch):
    prompt = ["a red house on grass"]
    before = draw(pipe, prompt, steps=4)
    with armature.attach(pipe, armature.Control(sketch, DRAWINGS / "house.png", weight=0.0)):
        assert np.array_equal(draw(pipe, prompt, steps=4), before)
    with armature.attach(pipe, armature.Control(sketch, DRAWINGS / "house.png")):
        assert not np.array_equal(draw(pipe, prompt, steps=4), before)
    assert np.array_equal(draw(pipe, prompt, steps=4), before)


def test_a_drawing_on_white_paper_is_inverted_and_the_user_told(pipe):
    made = armature.generate(
        "a red house",
        [("sketch", DRAWINGS / "house.png")],
        base=pipe,
        adapters={"sketch": "embedded:sketch"},
        seed=1,
        num_inference_steps=2,
    )
    assert "sketch control: Dark lines on light paper were turned into white lines on black." in made.notes
    assert np.asarray(made.control_maps[0]).mean() < 60


def test_an_unknown_embedded_adapter_names_the_known_ones():
    assert "sketch" in embedded_adapter_kinds()
    with pytest.raises(CheckpointError, match=r"There is no embedded adapter 'zebra'; this installation has: .*sketch"):
        embedded_adapter_path("zebra")


def test_the_annotator_reads_held_out_scenes(held_out):
    found = load_network().annotate(np.stack([s.picture for s in held_out]))
    right = np.mean([(s.classes == seen.classes).mean() for s, seen in zip(held_out, found, strict=True)])
    depth = np.sqrt(
        np.mean([((s.depth / 255 - seen.depth) ** 2).mean() for s, seen in zip(held_out, found, strict=True)])
    )
    assert right > 0.9
    assert depth < 0.12
    for truth, seen in zip(held_out, found, strict=True):
        standing = (truth.classes == CLASS_INDEX["person"]).sum() > 600
        assert not standing or len(seen.people) >= 1


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (np.zeros((1, 128, 128, 3), np.float32), r"type float32; expected \(n, h, w, 3\) uint8 RGB"),
        (np.zeros((128, 128, 3), np.uint8), r"shape \(128, 128, 3\)"),
        (np.zeros((1, 120, 128, 3), np.uint8), "128 x 120 pixels; both sides must be multiples of 16"),
    ],
)
def test_the_annotator_refuses_what_it_cannot_read(pictures, message):
    with pytest.raises(ConditionError, match=message):
        load_network().annotate(pictures)


@pytest.mark.parametrize("kind", embedded_adapter_kinds())
def test_every_adapter_brings_pictures_nearer_to_their_control(kind):
    report = evaluate(
        f"embedded:{kind}", data=DataSettings(source="toyworld", resolution=128), count=4, steps=8, batch=4
    )
    assert report.gap_closed is not None
    # The model card has the figures of many more scenes and steps.
    assert report.gap_closed.mean > 0.2


@pytest.mark.parametrize("kind", embedded_adapter_kinds())
def test_a_picture_becomes_a_control_and_a_picture_again_on_the_command_line(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    person = next(s for s in (scene(HELD_OUT + i) for i in range(100)) if s.joints)
    person.image.save("photo.png")
    done = CliRunner().invoke(
        app, ["generate", person.caption, "--control", f"{kind}=photo.png,extract", "--steps", "2", "--out", "made.png"]
    )
    assert (done.exit_code, done.stdout) == (0, "made.png\n"), done.output
    assert Image.open("made.png").size == (128, 128)
    assert read_settings("made.png").controls[0].kind == kind
