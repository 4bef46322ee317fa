"""Small random bases and deterministic samples for the tests of encoding, caching and batching."""

import functools
import hashlib
from dataclasses import replace

import diffusers
import numpy as np
import torch
import transformers

from armature.bases.open import open_base
from armature.conditions.kinds import contract_for
from armature.data.cache.cache import Cache
from armature.data.encoding.encoder import Encoder
from armature.data.loader.loader import cached_batches, online_batches
from armature.data.loader.sampler import StepLayout
from armature.data.samples.sample import NOTHING, CroppedSample
from armature.data.sources.source import BadSampleError, Fingerprint, Problem

# Advice on small models would drown the tests' own output.
diffusers.utils.logging.set_verbosity_error()

# Models this small only lose by sharing their work between cores.
torch.set_num_threads(1)

TEXT = 32
WIDE, TALL = (96, 64), (64, 96)


@functools.cache
def tokenizer():
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    vocabulary = {word: index for index, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16)


def text_encoder(kind=transformers.CLIPTextModel, seed=1):
    torch.manual_seed(seed)
    config = transformers.CLIPTextConfig(
        vocab_size=64, hidden_size=TEXT, intermediate_size=32, num_attention_heads=4, num_hidden_layers=2,
        max_position_embeddings=16, projection_dim=24, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    return kind(config).eval()


def autoencoder(seed=0, **options):
    torch.manual_seed(seed)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        layers_per_block=1,
        **options,
    ).eval()


def unet(**options):
    return diffusers.UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 8, 16), layers_per_block=1, norm_num_groups=8, **options
    ).eval()


def sd_pipeline(vae=None):
    parts = unet(
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=TEXT,
        attention_head_dim=8,
    )
    scheduler = diffusers.DDIMScheduler(steps_offset=1, clip_sample=False)
    return diffusers.StableDiffusionPipeline(
        vae or autoencoder(), text_encoder(), tokenizer(), parts, scheduler, None, None, requires_safety_checker=False
    )


def xl_pipeline(**options):
    parts = unet(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=2 * TEXT,
        attention_head_dim=(2, 4, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1, 1),
        projection_class_embeddings_input_dim=72,
    )
    second = text_encoder(transformers.CLIPTextModelWithProjection, seed=2)
    scheduler = diffusers.DDIMScheduler(steps_offset=1, clip_sample=False)
    return diffusers.StableDiffusionXLPipeline(
        autoencoder(), text_encoder(), second, tokenizer(), tokenizer(), parts, scheduler, **options
    )


def sd_encoder(**options):
    return Encoder(open_base(sd_pipeline(**options)))


def xl_encoder():
    return Encoder(open_base(xl_pipeline()))


def contract(kind="sketch", channels=1):
    return contract_for(kind, in_channels=channels)


class FakeSamples:
    """Pictures made from their number and variant; two buckets; what is `bad` cannot be loaded.

    bad: sample numbers, or (number, variant) pairs; unmapped: likewise, of those whose control alone is bad.
    version: of the content, told by the fingerprint. coloured: of the maps, which are grey lines otherwise.
    reads, pictures: what was loaded with its control, and without.
    """

    name = "fake data"

    def __init__(self, count=12, held_out=4, bad=(), version=0, coloured=False, tall_every=3, unmapped=()):
        self.count, self.bad, self.version, self.coloured = count, set(bad), version, coloured
        self.tall_every, self.unmapped = tall_every, set(unmapped)
        self.held_out = list(range(0, 3 * held_out, 3))
        self.training = [n for n in range(count + held_out) if n not in self.held_out]
        self.reads, self.pictures = [], []

    def fingerprint(self):
        words = f"{self.count} {self.version}", f"{self.count} {self.version} {self.coloured}"
        return Fingerprint(*(hashlib.sha256(word.encode()).hexdigest() for word in words))

    def key(self, index):
        return f"sample-{index:04d}"

    def bucket(self, index):
        return TALL if index % self.tall_every == self.tall_every - 1 else WIDE

    def load(self, index, variant=0, *, with_control=True):
        (self.reads if with_control else self.pictures).append((index, variant))
        if index in self.bad or (index, variant) in self.bad:
            raise BadSampleError(self.key(index), Problem("picture", "It is torn."))
        width, height = self.bucket(index)
        rng = np.random.default_rng([self.version, index, variant])
        pixels = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        caption = f"a thing {chr(ord('a') + index % 5)}"
        conditioning = (2 * height, 2 * width), (variant, 3), (height, width)
        sample = CroppedSample(index, variant, self.key(index), caption, pixels, *conditioning, NOTHING)
        if not with_control:
            return sample
        if index in self.unmapped or (index, variant) in self.unmapped:
            raise BadSampleError(self.key(index), Problem("condition", "It has no map."))
        control = np.where(rng.random((height, width)) < 0.2, 255, 0).astype(np.uint8)
        if self.coloured:
            control = rng.integers(0, 256, (height, width, 3), np.uint8)
        return replace(sample, control=control)


def batches(data, contract, *, encoder=None, batch, accumulate=1, rank=0, world=1, **options):
    """Online batches of samples, or those of a cache."""
    layout = StepLayout(batch, accumulate, rank, world)
    if isinstance(data, Cache):
        return cached_batches(data, contract, layout, **options)
    return online_batches(data, encoder, contract, layout, **options)


def number_of(key):
    return int(key.removeprefix("sample-"))


def flat(batch):
    """A batch's content as comparable values."""
    tensors = {name: getattr(batch, name) for name in ("positions", "mean", "std", "control", "time_ids")}
    tensors |= {"text": batch.text.states, "pooled": batch.text.pooled}
    return list(batch.keys), {name: tensor for name, tensor in tensors.items() if tensor is not None}


def same(one, other, tolerance=0.0):
    """Whether two batches hold the same samples and, within a tolerance, the same numbers."""
    (keys, tensors), (other_keys, others) = flat(one), flat(other)
    return (
        keys == other_keys
        and tensors.keys() == others.keys()
        and all(
            tensor.dtype == others[name].dtype
            and tensor.shape == others[name].shape
            and (tensor.double() - others[name].double()).abs().max() <= tolerance
            for name, tensor in tensors.items()
        )
    )
