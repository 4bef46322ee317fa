"""A diffusers model under the names of Stable Diffusion's original files."""

import re

import torch

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
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_OPEN_CLIP = {
    r"^embeddings\.token_embedding": "token_embedding",
    r"^embeddings\.position_embedding\.weight": "positional_embedding",
    r"^encoder\.layers": "transformer.resblocks",
    r"\.layer_norm([12])\.": r".ln_\1.",
    r"\.mlp\.fc1\.": ".mlp.c_fc.",
    r"\.mlp\.fc2\.": ".mlp.c_proj.",
    r"^final_layer_norm": "ln_final",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def original_state(pipeline):
    """All tensors of a pipeline as one original file of its family holds them."""
    config = pipeline.unet.config
    layers = config.layers_per_block
    with_attention = {level for level, kind in enumerate(config.up_block_types) if "Attn" in kind}
    state = {
        f"model.diffusion_model.{_unet(name, layers, with_attention)}": t
        for name, t in pipeline.unet.state_dict().items()
    }
    state |= {f"first_stage_model.{name}": t for name, t in original_vae(pipeline.vae).items()}
    if hasattr(pipeline, "text_encoder_2"):
        state |= _clip(pipeline.text_encoder, "conditioner.embedders.0.transformer.text_model.")
        state |= original_open_clip(pipeline.text_encoder_2, "conditioner.embedders.1.model.")
    elif pipeline.text_encoder.config.hidden_act == "gelu":
        # SD 2.x has OpenCLIP's encoder, in OpenCLIP's own names.
        state |= original_open_clip(pipeline.text_encoder, "cond_stage_model.model.")
    else:
        state |= _clip(pipeline.text_encoder, "cond_stage_model.transformer.text_model.")
    return {name: tensor.clone().contiguous() for name, tensor in state.items()}


def _clip(encoder, prefix):
    state = {prefix + name.removeprefix("text_model."): t for name, t in encoder.state_dict().items()}
    length = encoder.config.max_position_embeddings
    return state | {f"{prefix}embeddings.position_ids": torch.arange(length).unsqueeze(0)}


def original_open_clip(encoder, prefix):
    """A text encoder's tensors under OpenCLIP's names: queries, keys and values lie in one there."""
    given = {name.removeprefix("text_model."): t for name, t in encoder.state_dict().items()}
    state = {}
    for name, tensor in given.items():
        for ours, theirs in _OPEN_CLIP.items():
            name = re.sub(ours, theirs, name)
        if "self_attn" not in name:
            state[name] = tensor
        elif "q_proj" in name:
            parts = [given[f"encoder.{_layer(name)}.self_attn.{p}_proj.{name.rpartition('.')[2]}"] for p in "qkv"]
            state[name.replace("self_attn.q_proj.", "attn.in_proj_")] = torch.cat(parts)
        elif "out_proj" in name:
            state[name.replace("self_attn", "attn")] = tensor
    if "text_projection.weight" in state:
        state["text_projection"] = state.pop("text_projection.weight").T
    return {prefix + name: tensor for name, tensor in state.items()}


def _layer(name):
    return f"layers.{re.search(r'resblocks.([0-9]+)', name)[1]}"


def original_vae(vae):
    """An autoencoder's tensors under the original names; its attention is made of 1x1 convolutions there."""
    levels = len(vae.config.block_out_channels)
    state = {}
    for name, tensor in vae.state_dict().items():
        new = _vae(name, levels)
        convolution = ".attn_1." in new and name.endswith("weight") and "norm" not in name
        state[new] = (tensor[..., None, None] if convolution else tensor).clone()
    return state


def _unet(name, layers, with_attention):
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
        # A level is its layers and a downsampler on the way down, one layer more on the way up.
        each = layers + 1
        first = 1 + each * level + number
        place = {
            ("down_blocks", "resnets"): f"input_blocks.{first}.0",
            ("down_blocks", "attentions"): f"input_blocks.{first}.1",
            ("down_blocks", "downsamplers"): f"input_blocks.{each * (level + 1)}.0",
            ("up_blocks", "resnets"): f"output_blocks.{each * level + number}.0",
            ("up_blocks", "attentions"): f"output_blocks.{each * level + number}.1",
            # A level up without attention has its upsampler one place further forward.
            ("up_blocks", "upsamplers"): f"output_blocks.{each * level + layers}.{2 if level in with_attention else 1}",
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
