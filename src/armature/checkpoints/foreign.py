"""Recognise the weight files that people hand over in place of an adapter, and say what they are."""

from __future__ import annotations

from collections.abc import Iterable

# (what it is, what to do with it, fragments of which one must occur in some key). The first match wins, so the narrow
# ones stand first.
_KNOWN: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "a LoRA",
        "Load it into the pipeline with load_lora_weights; it works together with adapters",
        ("lora_up.", "lora_down.", "lora_A.", "lora_B.", "lora.up.", "lora.down.", "lora_unet_", "lora_te_"),
    ),
    (
        "an IP-Adapter",
        "Load it into the pipeline with load_ip_adapter; it works together with adapters",
        ("ip_adapter.", "image_proj.", "to_k_ip"),
    ),
    (
        "a ControlNet",
        "Use it as the pipeline's controlnet; adapters work together with it",
        ("control_model.", "controlnet_cond_embedding.", "controlnet_down_blocks.", "input_hint_block.", "zero_convs."),
    ),
    (
        "a full Stable Diffusion checkpoint",
        "It is a base model: give it as --base, and an adapter file here",
        ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.embedders."),
    ),
    (
        "a U-Net",
        "It is a base model's part; give an adapter file",
        ("down_blocks.", "time_embedding.", "input_blocks."),
    ),
    ("a VAE", "It is a base model's part; give an adapter file", ("encoder.conv_in.", "decoder.conv_in.")),
    ("a text encoder", "It is a base model's part; give an adapter file", ("text_model.", "vision_model.")),
    (
        "a textual inversion",
        "Load it into the pipeline with load_textual_inversion",
        ("emb_params", "string_to_param"),
    ),
)

_CLASSES = {
    "ControlNetModel": "a ControlNet",
    "ControlNetUnionModel": "a ControlNet",
    "UNet2DConditionModel": "a U-Net",
    "AutoencoderKL": "a VAE",
    "MotionAdapter": "an AnimateDiff motion adapter",
    "MultiAdapter": "a bundle of several adapters",
}


def recognise(names: Iterable[str]) -> str | None:
    """A sentence on what a file with these keys is and what to do with it, or None when it is not known."""
    keys = list(names)
    for what, advice, fragments in _KNOWN:
        if any(fragment in key for key in keys for fragment in fragments):
            return f"is {what}; expected an adapter. {advice}."
    return None


def recognise_class(class_name: str) -> str:
    """A sentence on what a diffusers folder of this class is."""
    what = _CLASSES.get(class_name, f"a {class_name}")
    return f"is {what}; expected a folder of class T2IAdapter. Give an adapter's folder."
