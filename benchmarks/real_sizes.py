"""Open bases of real size in all their forms and draw with them: python benchmarks/real_sizes.py WORK [FAMILY ...].

SD 1.5, SD 2.1 v, SDXL and 9-channel inpainting, with random weights in half precision, are written to WORK as a
diffusers folder, a .safetensors and a .ckpt in the original layout. Each is opened in a process of its own, which draws
a picture in two steps in bfloat16 and says how much memory it took. Needs up to 25 GB of disk a family, freed again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "generation"))
from original_layout import original_state
from small_bases import SCHEDULE, tokenizer

RESULT = Path(__file__).parent / "results" / "real_sizes.json"
FORMS = ("folder", "safetensors", "ckpt")
SD = {"cross_attention_dim": 768, "attention_head_dim": 8}
SD2 = {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True}
XL = {
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "sample_size": 128,
}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12}
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 23}
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20, "num_hidden_layers": 32}


def half(network: Any) -> Any:
    """In half precision, ready to use."""
    return network.half().eval()


def text_encoder(shape: dict[str, int], act: str, kind: Any = transformers.CLIPTextModel) -> Any:
    """A text encoder of real size."""
    projection = shape["hidden_size"]
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = transformers.CLIPTextConfig(
        **shape, vocab_size=49408, max_position_embeddings=77, hidden_act=act, projection_dim=projection, **ends
    )
    return half(kind(config))


def pipeline(family: str) -> Any:
    """The family's pipeline with random weights."""
    torch.manual_seed(0)
    scheduler = diffusers.DDIMScheduler(
        **SCHEDULE,
        steps_offset=1,
        clip_sample=False,
        prediction_type="v_prediction" if family == "sd21v" else "epsilon",
    )
    widths = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    scale = {"scaling_factor": 0.13025} if family == "sdxl" else {}
    vae = half(diffusers.AutoencoderKL(**widths, **blocks, latent_channels=4, **scale))
    if family == "sdxl":
        second = text_encoder(CLIP_G, "gelu", transformers.CLIPTextModelWithProjection)
        unet = half(diffusers.UNet2DConditionModel(**XL))
        first = text_encoder(CLIP_L, "quick_gelu")
        return diffusers.StableDiffusionXLPipeline(vae, first, second, tokenizer(), tokenizer(), unet, scheduler)
    unet = diffusers.UNet2DConditionModel(
        **(SD2 if family == "sd21v" else SD), in_channels=9 if family == "inpaint" else 4
    )
    encoder = text_encoder(CLIP_H, "gelu") if family == "sd21v" else text_encoder(CLIP_L, "quick_gelu")
    kind = diffusers.StableDiffusionInpaintPipeline if family == "inpaint" else diffusers.StableDiffusionPipeline
    return kind(vae, encoder, tokenizer(), half(unet), scheduler, None, None, requires_safety_checker=False)


def write(family: str, work: Path) -> dict[str, Path]:
    """The three forms of a family, on disk."""
    paths = {"folder": work / "folder", **{form: work / f"model.{form}" for form in FORMS[1:]}}
    if not paths["ckpt"].exists():
        made = pipeline(family)
        made.save_pretrained(paths["folder"])
        state = original_state(made)
        save_file(state, paths["safetensors"])
        torch.save({"state_dict": state, "global_step": 1}, paths["ckpt"])
    return paths


def draw(family: str, source: Path, config: Path) -> dict[str, Any]:
    """Open one form, draw one picture in two steps, and tell what it took."""
    import numpy as np
    from PIL import Image

    import armature
    from armature.bases.open import open_base
    from armature.devices import DeviceSpec

    began = time.monotonic()
    resting = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    base = open_base(source, config=None if source.is_dir() else config, place=DeviceSpec.choose("cpu", "bfloat16"))
    opened = time.monotonic()
    opening = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8))
    start: dict[str, Any] = {}
    if family == "inpaint":
        start = {"image": picture, "mask_image": Image.new("L", (128, 128), 255)}
    made = armature.generate("a red house", base=base, width=128, height=128, num_inference_steps=2, seed=1, **start)
    size = sum(f.stat().st_size for f in source.rglob("*") if f.is_file()) if source.is_dir() else source.stat().st_size
    return {
        "picture": hashlib.sha256(made.images[0].tobytes()).hexdigest()[:16],
        "mean": float(np.asarray(made.images[0]).mean()),
        "file_gb": round(size / 1e9, 2),
        "opening_peak_gb": round((opening - resting) * 1024 / 1e9, 2),
        "peak_gb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resting) * 1024 / 1e9, 2),
        "opening_s": round(opened - began, 1),
    }


def main() -> None:
    """All families and forms, into results/real_sizes.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("families", nargs="*", default=["sd15", "sd21v", "inpaint", "sdxl"])
    parser.add_argument(
        "--draw", nargs=2, type=Path, metavar=("SOURCE", "CONFIG"), help="for the processes that it starts"
    )
    given = parser.parse_args()
    if given.draw:
        print(json.dumps(draw(given.families[0], *given.draw)))
        return
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for family in given.families:
        work = given.work / family
        work.mkdir(parents=True, exist_ok=True)
        # Written by a process that ends, so that what it took does not lie beside what is measured.
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import real_sizes, pathlib; "
        code += f"real_sizes.write({family!r}, pathlib.Path({str(work)!r}))"
        subprocess.run([sys.executable, "-c", code], check=True)
        forms = {"folder": work / "folder", **{form: work / f"model.{form}" for form in FORMS[1:]}}
        results[family] = {}
        for form, source in forms.items():
            command = [sys.executable, __file__, str(given.work), family, "--draw", str(source), str(work / "folder")]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"}
            )
            if done.returncode:
                raise SystemExit(f"{family} {form}: {done.stderr[-2000:]}")
            results[family][form] = json.loads(done.stdout.splitlines()[-1])
            print(family, form, results[family][form], flush=True)
        shutil.rmtree(work)
        RESULT.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
