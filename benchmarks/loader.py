"""Does the cache keep up? Batches read from it, per second, beside what a training step takes on the same machine.

    python benchmarks/loader.py [--count 512]

The embedded base on toyworld, batch 16; one thread reads, one thread trains. Writes benchmarks/results/loader.json.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import armature
from armature.bases.schedule import alphas_of
from armature.data.encoding.encoder import Encoder
from armature.data.loader.loader import cached_batches
from armature.data.loader.sampler import StepLayout
from armature.injection.hooks import injected
from armature.training.logging.display import open_display
from armature.training.prepare_data import fill_cache, open_data
from armature.training.recipe.load import load_recipe
from armature.training.setup import set_up
from armature.training.trainer.distributed import Processes
from armature.training.trainer.step import Learner, freeze

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "loader.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        changes = [f"data.count={options.count}", "data.held_out=16", f"cache.folder={place}/cache", f"run={place}/run"]
        recipe = load_recipe(ROOT / "recipes" / "embedded" / "sketch.toml", changes)
        setup, processes = set_up(recipe), Processes(device=torch.device("cpu"))
        with open_display(shown=False) as display:
            encoder = Encoder(setup.base, display.note)
            cache = fill_cache(setup, open_data(setup), encoder, processes, display)
        batch = recipe.train.batch
        batches = cached_batches(cache, setup.contract, StepLayout(batch), workers=0)
        stream = batches.stream(0)
        next(stream)
        read = clocked(lambda: next(stream), 2 * options.steps)
        unet: Any = setup.base.pipeline.unet
        freeze(unet)
        kept = list(itertools.islice(stream, options.steps + 1))
        with injected(unet) as injection:
            learner = Learner(
                recipe.train,
                unet,
                injection,
                setup.adapter.train(),
                alphas_of(setup.base.pipeline.scheduler),
                "v_prediction",
                batches.empty,
                processes,
            )
            source = iter(kept)
            learner.step(1, source, 1e-4)
            step = clocked(lambda: learner.step(2, source, 1e-4), options.steps)
        batches.close()
    result = {
        "batch": batch,
        "read_images_per_second": round(batch / read, 1),
        "step_images_per_second": round(batch / step, 1),
        "ratio": round(step / read, 1),
        "machine": {"cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 2)},
        "versions": {"armature": armature.__version__, "torch": torch.__version__},
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def clocked(call: Any, times: int) -> float:
    """Processor seconds of one call: other work on the machine must not count."""
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


if __name__ == "__main__":
    main()
