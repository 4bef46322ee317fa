"""A training in small: a random base, an adapter, and samples that are made from their positions."""

import diffusers
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel

from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.registry import build_adapter
from armature.bases.schedule import alphas_of
from armature.bases.text import TextStates
from armature.data.encoding.batch import EncodedBatch
from armature.training.checkpoint.run_folder import RunFolder
from armature.training.recipe.duration import Duration
from armature.training.recipe.model import TrainSettings
from armature.training.trainer.trainer import TrainerServices, fit

# It advises on every construction of a small model; nothing in it concerns these tests.
diffusers.utils.logging.set_verbosity_error()

# Models this small only lose by sharing their work between cores.
torch.set_num_threads(1)

WIDTHS = (8, 16, 16, 16)
TOKENS, CONTEXT = 5, 8
ALPHAS = alphas_of(DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"))


def small_unet(dtype=torch.float32):
    """SD 1.x's blocks in small, the same weights at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=WIDTHS,
            layers_per_block=1,
            cross_attention_dim=CONTEXT,
            attention_head_dim=2,
            norm_num_groups=4,
            down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
            up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
        )
    return unet.eval().to(dtype)


def small_xl_unet():
    """SDXL's blocks in small."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16, 16),
            layers_per_block=1,
            cross_attention_dim=CONTEXT,
            attention_head_dim=2,
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=4 * 6 + CONTEXT,
        )
    return unet.eval()


def small_adapter(xl=False, seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if xl:
            return build_adapter(FullXLSpec(1, (8, 16, 16, 16), blocks=1))
        return build_adapter(FullSpec(1, WIDTHS, blocks=1))


class PositionBatches:
    """Batches whose samples are random numbers seeded by their position.

    poison: position of a sample whose latent is not finite. before(position): called as a sample is made.
    """

    def __init__(self, train, rank=0, world=1, xl=False, poison=None, before=None, per_epoch=5):
        self.batch, self.accumulate = train.batch, train.accumulate
        self.rank, self.world, self.xl = rank, world, xl
        self.poison, self.before, self.per_epoch = poison, before, per_epoch
        self.starts = []

    @property
    def empty(self):
        return TextStates(torch.zeros(1, TOKENS, CONTEXT), torch.zeros(1, CONTEXT) if self.xl else None)

    def steps_per_epoch(self):
        return self.per_epoch

    def stream(self, start):
        self.starts.append(start)
        position = start * self.accumulate * self.world * self.batch + self.rank * self.batch
        while True:
            yield self.at(range(position, position + self.batch))
            position += self.world * self.batch

    def at(self, positions):
        samples = [self.sample(position) for position in positions]
        mean, std, states, control, pooled = (torch.stack(parts) for parts in zip(*samples, strict=True))
        return EncodedBatch(
            keys=[f"sample-{position}" for position in positions],
            positions=torch.tensor(list(positions)),
            mean=mean,
            std=std,
            text=TextStates(states, pooled if self.xl else None),
            control=control,
            time_ids=torch.tensor([[64.0, 64, 0, 0, 64, 64]] * len(positions)) if self.xl else None,
        )

    def sample(self, position):
        if self.before is not None:
            self.before(position)
        g = torch.Generator().manual_seed(position)
        mean = torch.randn(4, 8, 8, generator=g)
        if position == self.poison:
            mean[0, 0, 0] = torch.nan
        std = torch.rand(4, 8, 8, generator=g) * 0.1
        states = torch.randn(TOKENS, CONTEXT, generator=g)
        return mean, std, states, torch.rand(1, 64, 64, generator=g), torch.randn(CONTEXT, generator=g)

    def held_out(self):
        yield from ()

    def close(self):
        pass


def settings(**changes):
    """A recipe's `[train]` table with everything random switched on."""
    values = {
        "length": "6 steps",
        "batch": 2,
        "learning_rate": 1e-2,
        "warmup": 2,
        "schedule": "cosine",
        "ema": 0.9,
        "caption_dropout": 0.3,
        "condition_dropout": 0.3,
        "noise_offset": 0.1,
        "workers": 0,
    }
    return TrainSettings.model_validate({**values, **changes})


class Notebook:
    """Metrics that are kept in a list."""

    def __init__(self):
        self.lines, self.rewinds = [], []

    def write(self, state, figures):
        self.lines.append((state.step, figures))

    def rewind(self, step):
        self.rewinds.append(step)


def train_small(
    run,
    train=None,
    batches=None,
    *,
    unet=None,
    adapter=None,
    prediction="epsilon",
    save="2 steps",
    log="2 steps",
    keep=3,
    resume=False,
    **services,
):
    """`fit` with small parts; returns the adapter."""
    train = train or settings()
    adapter = adapter or small_adapter()
    fit(
        train,
        TrainerServices(
            RunFolder(run).store(keep), save_every=Duration.parse(save), log_every=Duration.parse(log), **services
        ),
        unet=unet if unet is not None else small_unet(),
        adapter=adapter,
        batches=batches or PositionBatches(train),
        alphas=ALPHAS,
        prediction=prediction,
        resume=resume,
    )
    return adapter


def newest(run):
    """The newest whole checkpoint of a run; there must be one."""
    checkpoint, _ = RunFolder(run).store().newest_whole()
    assert checkpoint is not None
    return checkpoint


def differences(one, other):
    """Names of whatever is not bit-identical in two checkpoints, clocks left aside."""
    facts = [(c.state.step, c.state.images, c.images_per_step, c.recipe, c.callbacks_called) for c in (one, other)]
    different = [] if facts[0] == facts[1] else [str(facts)]
    pairs = {
        "adapter": (one.learner.adapter, other.learner.adapter),
        "ema": (one.learner.ema or {}, other.learner.ema or {}),
        "optimizer": (one.learner.optimizer.tensors, other.learner.optimizer.tensors),
    }
    for group, (a, b) in pairs.items():
        if a.keys() != b.keys():
            different.append(group)
        different += [f"{group}/{name}" for name in a.keys() & b.keys() if not torch.equal(a[name], b[name])]
    return different
