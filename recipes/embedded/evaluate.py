"""Measure the embedded base on held-out scenes: python recipes/embedded/evaluate.py OUT.json [--count N].

Asked of the shipped weights through the public interface: how well pictures agree with their captions, the ceiling (the
true picture through the autoencoder), and the annotator's own figures on true scenes. The adapters are measured by
`armature evaluate`.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from store import HELD_OUT

import armature
from armature.bases.card import card_of
from armature.bases.latents import through_autoencoder
from armature.conditions.networks.annotator import Annotation, load_network
from armature.evaluation.prompt_alignment import PromptAlignment, named_things, prompt_alignment
from armature.toyworld import Scene, scene
from armature.toyworld.palette import CLASSES

BATCH = 8
# What the shipped base recommends of itself.
_CARD = card_of(None)
STEPS, GUIDANCE = _CARD.steps or 20, _CARD.guidance or 7.5


def draw(pipe: StableDiffusionPipeline, scenes: list[Scene], guidance: float, steps: int) -> np.ndarray:
    """One picture per scene's caption, seeded by the scene's number, (n, 128, 128, 3) uint8."""
    pictures = []
    for start in range(0, len(scenes), BATCH):
        part = scenes[start : start + BATCH]
        generators = [torch.Generator().manual_seed(s.seed) for s in part]
        images = pipe(
            [s.caption for s in part],
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generators,
            output_type="np",
        ).images
        pictures.append(np.round(images * 255).astype(np.uint8))
    return np.concatenate(pictures)


def reconstructed(pipe: StableDiffusionPipeline, pictures: np.ndarray) -> np.ndarray:
    """The pictures encoded and decoded: as good as any picture of this model can be."""
    return np.stack([through_autoencoder(pipe.vae, picture) for picture in pictures])


def annotate(pictures: np.ndarray) -> list[Annotation]:
    """The embedded annotator's reading of each picture."""
    network = load_network()
    return [found for part in np.split(pictures, range(16, len(pictures), 16)) for found in network.annotate(part)]


def shares(result: PromptAlignment) -> dict[str, float]:
    """Object recall and colour share, rounded."""
    return {"object_recall": round(result.object_recall, 4), "colours_right": round(result.colour_share, 4)}


def by_number_of_objects(scenes: list[Scene], found: list[Annotation]) -> dict[str, dict[str, float]]:
    """Prompt alignment of scenes of one, two, three, and four or more objects."""
    groups: dict[str, list[int]] = {}
    for index, one in enumerate(scenes):
        count = len(one.objects)
        groups.setdefault(str(count) if count < 4 else "4+", []).append(index)
    return {
        name: {"scenes": len(picks)}
        | shares(prompt_alignment([named_things(scenes[i]) for i in picks], [found[i] for i in picks]))
        for name, picks in sorted(groups.items())
    }


def people_found(scenes: list[Scene], found: list[Annotation], sure: float = 0.3) -> dict[str, float]:
    """Of the people that scenes have: the share found at all, and of their 18 joints the share seen with confidence."""
    people = seen = joints = 0
    for truth, said in zip(scenes, found, strict=True):
        people += len(truth.joints)
        best = sorted(said.people, key=lambda person: -float(person.confidence.mean()))[: len(truth.joints)]
        seen += len(best)
        joints += sum(int((person.confidence > sure).sum()) for person in best)
    return {
        "people": people,
        "found": round(seen / max(1, people), 4),
        "joints_seen": round(joints / max(1, 18 * people), 4),
    }


def laplacian_variance(pictures: np.ndarray) -> float:
    """Mean over pictures of the variance of the Laplacian of brightness: how sharp they are."""
    grey = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures)
    return float(np.mean([cv2.Laplacian(picture, cv2.CV_64F).var() for picture in grey]))


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance of two sets of pictures by the annotator's innermost features, averaged over places."""
    (mean, spread), (other_mean, other_spread) = (_moments(pictures) for pictures in (first, second))
    product = torch.linalg.eigvals(spread @ other_spread).real.clamp(min=0).sqrt().sum()
    return float((mean - other_mean).square().sum() + spread.trace() + other_spread.trace() - 2 * product)


@torch.no_grad()
def _moments(pictures: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    network, found = load_network(), []
    for part in np.split(pictures, range(16, len(pictures), 16)):
        x = torch.from_numpy(part).permute(0, 3, 1, 2).float() / 127.5 - 1
        for block in network.down:
            x = block(x)
        found.append(x.mean((2, 3)))
    features = torch.cat(found).double()
    return features.mean(0), torch.cov(features.T)


def annotator_figures(scenes: list[Scene], found: list[Annotation]) -> dict[str, float]:
    """Mean IoU over classes (pixels of all scenes together), depth RMSE (0..1), joints within 5 % of the size.

    Joints count for every true person; a person that was not found has none right.
    """
    matrix = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    squared, near, joints = [], 0, 0
    for truth, seen in zip(scenes, found, strict=True):
        np.add.at(matrix, (truth.classes.ravel(), seen.classes.ravel()), 1)
        squared.append(((seen.depth - truth.depth / 255.0) ** 2).mean())
        for person in truth.joints:
            joints += len(person)
            candidates = [np.hypot(*(person - other.joints).T) for other in seen.people]
            if candidates:
                best = min(candidates, key=lambda distance: float(distance.mean()))
                near += int((best < 0.05 * truth.plan.size).sum())
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    return {
        "seg_miou": round(float((np.diag(matrix) / np.maximum(union, 1))[union > 0].mean()), 4),
        "depth_rmse": round(float(np.sqrt(np.mean(squared))), 4),
        "joints_within_5_percent": round(near / max(1, joints), 4),
    }


def main() -> None:
    """Write the figures as JSON and print them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=2000, help="first held-out scene; choices were made on others")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--base", type=Path, help="a pipeline folder in place of the shipped one")
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    start = time.monotonic()
    scenes = [scene(HELD_OUT + arguments.first + i) for i in range(arguments.count)]
    named = [named_things(s) for s in scenes]
    if arguments.base:
        pipe = StableDiffusionPipeline.from_pretrained(arguments.base, dtype=torch.float32)
    else:
        pipe = armature.embedded_pipeline()
    pipe.set_progress_bar_config(disable=True)
    true = np.stack([s.picture for s in scenes])
    read = annotate(true)
    ceiling = reconstructed(pipe, true)
    without = draw(pipe, scenes, arguments.guidance, arguments.steps)
    drawn = annotate(without)
    figures: dict[str, object] = {
        "scenes": arguments.count,
        "steps": arguments.steps,
        "guidance": arguments.guidance,
        "annotator_on_true_scenes": annotator_figures(scenes, read),
        "prompt_alignment_of_true_scenes": shares(prompt_alignment(named, read)),
        "prompt_alignment_of_ceiling": shares(prompt_alignment(named, annotate(ceiling))),
        "prompt_alignment_without": shares(prompt_alignment(named, drawn)),
        "by_number_of_objects": by_number_of_objects(scenes, drawn),
        "people_without": people_found(scenes, drawn),
        "people_of_true_scenes": people_found(scenes, read),
        "laplacian_variance_of_truth": round(laplacian_variance(without) / laplacian_variance(true), 3),
        "laplacian_variance_of_truth_ceiling": round(laplacian_variance(ceiling) / laplacian_variance(true), 3),
        "frechet_distance": round(frechet_distance(true, without), 4),
        "frechet_distance_ceiling": round(frechet_distance(true, ceiling), 4),
        "autoencoder_mae_0_to_255": round(float(np.abs(ceiling.astype(float) - true).mean()), 2),
    }
    figures |= {
        "seconds": round(time.monotonic() - start),
        "machine": f"{platform.machine()}, {arguments.threads} threads",
    }
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
