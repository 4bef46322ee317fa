"""Opening a base: folders, single files, other autoencoders, and what is refused."""

import pickle
import shutil

import numpy as np
import pytest
import small_bases as small
import torch
from original_layout import original_state, original_vae
from safetensors.torch import save_file

from armature import hub
from armature.bases.open import open_base
from armature.devices import DeviceSpec
from armature.errors import CheckpointError, RecipeError
from armature.generation.generate import generate


@pytest.fixture(scope="module")
def single(bases, tmp_path_factory):
    """The sd base as one file, in both containers."""
    state = original_state(open_base(bases["sd"]).pipeline)
    folder = tmp_path_factory.mktemp("single")
    save_file(state, folder / "model.safetensors")
    # Real files carry the training step and buffers of whole numbers besides.
    extra = {"cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(16)[None]}
    torch.save({"state_dict": {**state, **extra}, "global_step": 7}, folder / "model.ckpt")
    return folder


SHORT = {"num_inference_steps": 2, "seed": 4}


def picture(base, **options):
    return np.asarray(generate("a red house", base=base, **SHORT, **options).images[0])


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_a_single_file_draws_what_the_folder_draws(single, bases, ending):
    file = single / f"model.{ending}"
    made = generate("a red house", base=file, config=bases["sd"], num_inference_steps=2, seed=4)
    assert np.array_equal(np.asarray(made.images[0]), picture(bases["sd"]))
    assert (made.settings.base, made.settings.config) == (file.name, "sd")


def test_an_sdxl_file_draws_what_the_folder_draws(tmp_path):
    # diffusers tells the two text encoders of a file by their widths.
    pipeline = small.xl_pipeline(second_width=48)
    pipeline.save_pretrained(tmp_path / "folder")
    save_file(original_state(pipeline), tmp_path / "model.safetensors")
    made = generate("a red house", base=tmp_path / "model.safetensors", config=tmp_path / "folder", **SHORT)
    # Weights are equal; OpenCLIP's lie in memory in another way and round differently.
    assert np.abs(np.asarray(made.images[0]).astype(int) - picture(tmp_path / "folder")).max() <= 1


def test_an_sd_2_file_with_open_clip_draws_what_the_folder_draws(tmp_path):
    pipeline = small.sd_pipeline()
    torch.manual_seed(3)
    pipeline.text_encoder = small.text_encoder(act="gelu")
    pipeline.scheduler = pipeline.scheduler.from_config(pipeline.scheduler.config, prediction_type="v_prediction")
    pipeline.save_pretrained(tmp_path / "folder")
    save_file(original_state(pipeline), tmp_path / "model.safetensors")
    base = open_base(tmp_path / "model.safetensors", config=tmp_path / "folder")
    assert base.pipeline.scheduler.config.prediction_type == "v_prediction"
    assert np.abs(picture(base).astype(int) - picture(tmp_path / "folder")).max() <= 1


def test_another_vae_comes_from_a_folder_a_pipeline_or_a_single_file(bases, tmp_path):
    other = small.autoencoder(seed=9)
    other.save_pretrained(tmp_path / "vae")
    save_file({name: t.contiguous() for name, t in original_vae(other).items()}, tmp_path / "vae.safetensors")
    base = open_base(bases["sd"])
    own = base.pipeline.vae
    by_folder, by_file = (picture(base, vae=tmp_path / name) for name in ("vae", "vae.safetensors"))
    assert np.array_equal(by_folder, by_file)
    assert not np.array_equal(by_folder, picture(base))
    assert base.pipeline.vae is own
    assert open_base(base, vae=tmp_path / "vae").vae == "vae"
    assert np.array_equal(picture(base, vae=bases["sd"]), picture(base))


def test_a_vae_of_another_family_is_refused(bases, tmp_path):
    from diffusers import AutoencoderKL

    AutoencoderKL(block_out_channels=(8,), latent_channels=16, norm_num_groups=4).save_pretrained(tmp_path / "vae")
    with pytest.raises(CheckpointError, match=r"has latent_channels 16; this base takes latents made with 4"):
        open_base(bases["sd"], vae=tmp_path / "vae")


class Payload:
    def __reduce__(self):
        return (print, ("run",))


def test_a_ckpt_that_wants_to_run_code_is_refused(tmp_path, capsys):
    (tmp_path / "bad.ckpt").write_bytes(pickle.dumps({"state_dict": Payload()}, protocol=2))
    with pytest.raises(
        CheckpointError, match=r"wants to run code or build other objects than tensors .* nothing was run"
    ):
        open_base(tmp_path / "bad.ckpt")
    assert capsys.readouterr().out == ""


def test_a_truncated_file_is_refused(single, tmp_path):
    whole = (single / "model.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"is truncated: \d+ bytes of \d+"):
        open_base(tmp_path / "half.safetensors")


def test_an_adapter_is_no_base(bases):
    with pytest.raises(CheckpointError, match=r"holds no U-Net under model\.diffusion_model\..*--adapter KIND=REF"):
        open_base(bases["sketch"] / "diffusion_pytorch_model.safetensors")
    with pytest.raises(CheckpointError, match=r"is a folder without model_index\.json.*--adapter KIND=REF"):
        open_base(bases["sketch"])


def test_offline_without_configuration_says_how_to_give_one(single, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"Go online once, or name a diffusers folder.*--base-config"):
        open_base(single / "model.safetensors")
    with pytest.raises(CheckpointError, match="The base 'owner/model' is not, or only in part, in the hub's cache"):
        open_base("owner/model")


def test_a_configuration_without_a_single_file_is_not_ignored(bases):
    with pytest.raises(CheckpointError, match="belongs to a single-file base"):
        open_base(bases["sd"], config=bases["sd"])


@pytest.mark.parametrize("source", ["nowhere", "./no/folder", "a/b/c"])
def test_a_base_that_is_not_there(source):
    with pytest.raises(CheckpointError, match=r"There is no base model .* Check the spelling"):
        open_base(source)
    with pytest.raises(CheckpointError, match=r"There is no file 'gone\.ckpt'"):
        open_base("gone.ckpt")


def test_other_pipelines_are_named(bases):
    with pytest.raises(CheckpointError, match="is a Linear; expected a pipeline"):
        open_base(torch.nn.Linear(1, 1))
    with pytest.raises(CheckpointError, match="takes 5 channels; expected 4, or 9"):
        open_base(small.sd_pipeline(in_channels=5))


def test_size_stride_and_family_come_from_the_model(bases):
    base = open_base(bases["sd"], place=DeviceSpec.choose("cpu", "bfloat16"))
    assert (base.size, base.stride, base.family.key, base.guidance) == ((64, 64), 8, "sd", 7.5)
    assert base.place.dtype is torch.bfloat16
    assert open_base(bases["sdxl"]).family.key == "sdxl"


def test_devices_and_precisions_that_are_not_there():
    with pytest.raises(RecipeError, match="dtype is 'float8'; expected float32, float16, bfloat16"):
        DeviceSpec.choose("cpu", "float8")
    with pytest.raises(RecipeError, match="device is 'gpu'; expected cpu, cuda, cuda:1 or mps"):
        DeviceSpec.choose("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(RecipeError, match="which this machine does not have"):
            DeviceSpec.choose("cuda")


def test_a_folder_of_half_precision_weights_alone_opens(bases, tmp_path):
    small.sd_pipeline().to(dtype=torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    base = open_base(tmp_path / "half", place=DeviceSpec.choose("cpu", "float32"))
    assert base.pipeline.unet.dtype == torch.float32
    assert open_base(tmp_path / "half", place=DeviceSpec.choose("cpu", "bfloat16")).place.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("dtype", "variants"), [("float32", [None, "fp16"]), ("float16", ["fp16", None]), ("bfloat16", ["fp16", None])]
)
def test_of_a_repository_the_variant_of_the_precision_is_asked_first(monkeypatch, dtype, variants):
    from diffusers import DiffusionPipeline

    asked = []

    def refuse(name, **options):
        asked.append(options.get("variant"))
        raise OSError(f"no weights of variant {options.get('variant')}")

    monkeypatch.setattr(hub, "unreachable", lambda: False)
    monkeypatch.setattr(DiffusionPipeline, "from_pretrained", refuse)
    with pytest.raises(CheckpointError, match="cannot be opened: no weights of variant None"):
        open_base("owner/model", place=DeviceSpec(torch.device("cpu"), getattr(torch, dtype)))
    assert asked == variants


def test_whole_numbers_beside_the_weights_are_no_hindrance(single, bases, tmp_path):
    state = original_state(open_base(bases["sd"]).pipeline)
    name = "cond_stage_model.transformer.text_model.embeddings.position_ids"
    save_file({**state, name: torch.arange(16)[None]}, tmp_path / "ids.safetensors")
    assert open_base(tmp_path / "ids.safetensors", config=bases["sd"]).family.key == "sd"


@pytest.mark.parametrize(
    "gone",
    [
        "model.diffusion_model.input_blocks.1.0.in_layers.2.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.weight",
        "first_stage_model.decoder.conv_in.weight",
    ],
)
def test_a_file_that_lacks_one_tensor_says_so(bases, tmp_path, gone):
    state = original_state(open_base(bases["sd"]).pipeline)
    del state[gone]
    save_file(state, tmp_path / "torn.safetensors")
    with pytest.raises(CheckpointError, match="the file is not whole"):
        open_base(tmp_path / "torn.safetensors", config=bases["sd"])


def test_a_file_without_vae_is_completed_by_one(single, bases, tmp_path):
    state = original_state(open_base(bases["sd"]).pipeline)
    save_file({n: t for n, t in state.items() if not n.startswith("first_stage")}, tmp_path / "bare.safetensors")
    with pytest.raises(
        CheckpointError, match=r"holds no VAE under first_stage_model\.\*; give one with vae= \(--vae\)"
    ):
        open_base(tmp_path / "bare.safetensors", config=bases["sd"])
    whole = open_base(tmp_path / "bare.safetensors", config=bases["sd"], vae=bases["sd"])
    assert whole.vae == "sd"
    assert np.array_equal(picture(whole), picture(single / "model.safetensors", config=bases["sd"]))


def test_a_folder_without_vae_is_completed_by_one(bases, tmp_path):
    shutil.copytree(bases["sd"], tmp_path / "bare", ignore=shutil.ignore_patterns("vae"))
    with pytest.raises(CheckpointError, match="lacks its vae; download the whole model, or give one"):
        open_base(tmp_path / "bare")
    assert np.array_equal(picture(tmp_path / "bare", vae=bases["sd"]), picture(bases["sd"]))


def test_a_vae_scaled_for_another_family_is_refused(bases, tmp_path):
    vae = small.autoencoder()
    vae.register_to_config(scaling_factor=0.13025)
    vae.save_pretrained(tmp_path / "xl")
    with pytest.raises(
        CheckpointError, match=r"scales its latents by 0\.13025, and this SD 1\.x / 2\.x base takes .*0\.18215"
    ):
        open_base(bases["sd"], vae=tmp_path / "xl")


def test_a_damaged_card_is_told(bases, tmp_path):
    shutil.copytree(bases["sd"], tmp_path / "base")
    (tmp_path / "base" / "armature.json").write_text('{"guidance": "high"}')
    with pytest.raises(CheckpointError, match=r"no readable card of a base \(guidance is 'high'\)"):
        open_base(tmp_path / "base")
    (tmp_path / "base" / "armature.json").write_text('{"name": "mine", "guidance": 3, "steps": 7, "sampler": "euler"}')
    made = generate("a", base=open_base(tmp_path / "base"), seed=1)
    assert (made.settings.base, made.settings.guidance, made.settings.steps) == ("mine", 3.0, 7)
    assert made.settings.sampler == "euler"
