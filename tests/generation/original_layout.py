"""A small diffusers model under the names of Stable Diffusion's original files."""

import re

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def original_state(pipeline):
    """All tensors of a pipeline with one layer per block, as one original file holds them."""
    unet = {f"model.diffusion_model.{_unet(name)}": t for name, t in pipeline.unet.state_dict().items()}
    vae = {f"first_stage_model.{name}": t for name, t in original_vae(pipeline.vae).items()}
    prefix = "cond_stage_model.transformer.text_model."
    text = {prefix + name.removeprefix("text_model."): t for name, t in pipeline.text_encoder.state_dict().items()}
    return {name: tensor.clone().contiguous() for name, tensor in (unet | vae | text).items()}


def original_vae(vae):
    """An autoencoder's tensors under the original names; its attention is made of 1x1 convolutions there."""
    levels = len(vae.config.block_out_channels)
    state = {}
    for name, tensor in vae.state_dict().items():
        new = _vae(name, levels)
        convolution = ".attn_1." in new and name.endswith("weight") and "norm" not in name
        state[new] = (tensor[..., None, None] if convolution else tensor).clone()
    return state


def _unet(name):
    for ours, theirs in _UNET_ENDS.items():
        if name.startswith(ours + "."):
            return theirs + name.removeprefix(ours)
    side, rest = name.split(".", 1)
    if side == "mid_block":
        part, number, rest = rest.split(".", 2)
        place = f"middle_block.{1 if part == 'attentions' else 2 * int(number)}"
    else:
        level, part, number, rest = rest.split(".", 3)
        level, number = int(level), int(number)
        # One layer a block: a level is two inputs (layer, downsampler), and two outputs (layer, layer + upsampler).
        place = {
            ("down_blocks", "resnets"): f"input_blocks.{2 * level + 1}.0",
            ("down_blocks", "attentions"): f"input_blocks.{2 * level + 1}.1",
            ("down_blocks", "downsamplers"): f"input_blocks.{2 * level + 2}.0",
            ("up_blocks", "resnets"): f"output_blocks.{2 * level + number}.0",
            ("up_blocks", "attentions"): f"output_blocks.{2 * level + number}.1",
            # The first level up has no attention, so that its upsampler moves forward.
            ("up_blocks", "upsamplers"): f"output_blocks.{2 * level + 1}.{1 if level == 0 else 2}",
        }[side, part]
        if part == "downsamplers":
            rest = rest.replace("conv", "op")
        if part in ("downsamplers", "upsamplers"):
            return f"{place}.{rest}"
    if "resnets" in name:
        word, tail = rest.split(".", 1)
        rest = f"{_RESNET[word]}.{tail}"
    return f"{place}.{rest}"


def _vae(name, levels):
    name = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{levels - 1 - int(m[1])}.block.{m[2]}", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    if "mid_block.attentions.0." in name:
        head, tail = name.split("mid_block.attentions.0.")
        for ours, theirs in _VAE_ATTENTION.items():
            tail = tail.replace(ours, theirs) if tail.startswith(ours) else tail
        name = f"{head}mid.attn_1.{tail}"
    return name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
