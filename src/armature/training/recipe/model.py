"""The recipe: everything that decides a training, in one checked and frozen value."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from armature.adapters.registry import NETWORKS
from armature.conditions.kinds import canonical_kind
from armature.conditions.registry import find_extractor
from armature.data.settings import CacheSettings, DataSettings
from armature.errors import ConditionError
from armature.training.recipe.duration import Duration

Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
LINE_KINDS = ("sketch", "canny", "lineart", "softedge")
# TOML has no null: "never" stands for it.
NeverOr = Annotated[
    Duration | None,
    BeforeValidator(lambda value: None if value == "never" else value),
    PlainSerializer(lambda value: "never" if value is None else str(value)),
]
Precision = Literal["auto", "float32", "float16", "bfloat16"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BaseSettings(_Strict):
    """The `[base]` table: the frozen model.

    model: "embedded", a hub id, a diffusers folder or a single file. vae: another autoencoder; left out, its own.
    precision: of its weights; "auto" is bfloat16 on a GPU that has it, else float16, and float32 on a CPU.
    """

    model: str = Field(min_length=1)
    vae: str | None = None
    precision: Precision = "auto"


class AdapterSettings(_Strict):
    """The `[adapter]` table: what is trained.

    kind: what the adapter follows: sketch, canny, depth, seg, openpose, color...
    network: "auto" is full, or full_xl for SDXL; "light" suits colour.
    channels: of the condition map; left out, the kind's contract decides.
    blocks: residual blocks a level; left out, those of `start`, else 2, and 4 for light.
    divisor: a light level works at its width / divisor; other programs know 4 only.
    start: an adapter to start from: file, folder, hub id or "embedded:KIND"; another kind is allowed.
    """

    kind: str
    network: str = "auto"
    channels: Literal[1, 3] | None = None
    blocks: int | None = Field(default=None, ge=1, le=8)
    divisor: int = Field(default=4, ge=1, le=32)
    start: str | None = None

    @field_validator("network")
    @classmethod
    def _network(cls, network: str) -> str:
        trained = [name for name, one in NETWORKS.items() if one.takes == "condition map"]
        if network not in ("auto", *trained):
            raise ValueError(f"{network!r} is no network that can be trained; expected {', '.join(('auto', *trained))}")
        return network

    @field_validator("kind")
    @classmethod
    def _kind(cls, kind: str) -> str:
        try:
            kind = canonical_kind(kind)
        except ConditionError as error:
            raise ValueError(str(error)) from error
        if kind == "style":
            raise ValueError("style adapters cannot be trained yet; take a kind that has a condition map")
        return kind


class TrainSettings(_Strict):
    """The `[train]` table: how it is trained.

    length: when it ends; steps are the optimizer's, minutes are of training alone.
    batch: samples of one process in one forward pass. accumulate: forward passes of an optimizer step.
    learning_rate: at its peak. schedule: constant, cosine (down to 2 % of the peak) or linear (down to 0).
    warmup: optimizer steps on which the learning rate rises from 0.
    optimizer: "adamw", or "adamw8bit" where bitsandbytes is installed. betas, weight_decay: of AdamW.
    clip: largest gradient norm; 0 never clips.
    ema: decay of the averaged weights, which are those that are saved; 0 keeps none.
    precision: of the arithmetic around the adapter, whose own weights stay float32; "auto" follows the base.
    timesteps: how noise levels are drawn; the paper's cubic prefers the early, noisy ones.
    timestep_range: from, up to but without, in thousandths of the schedule.
    min_snr: cap of min-SNR weighting; 0 is the paper's plain error.
    noise_offset: noise that a whole channel shares; 0 is none.
    caption_dropout: share of samples whose caption is left empty.
    condition_dropout: share of samples whose condition map is left empty.
    checkpoint_gradients: compute the U-Net's activations twice, for less memory and more time.
    compile: run the frozen U-Net through torch.compile.
    seed: of everything random. workers: threads that prepare batches ahead.
    """

    length: Duration = Duration(10_000, "steps")
    batch: int = Field(default=8, ge=1)
    accumulate: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-5, gt=0, le=1)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup: int = Field(default=0, ge=0)
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=1.0, ge=0)
    ema: float = Field(default=0.0, ge=0, lt=1)
    precision: Precision = "auto"
    timesteps: Literal["cubic", "uniform", "logit-normal"] = "cubic"
    timestep_range: tuple[int, int] = (0, 1000)
    min_snr: float = Field(default=0.0, ge=0)
    noise_offset: float = Field(default=0.0, ge=0, le=1)
    caption_dropout: Share = 0.1
    condition_dropout: Share = 0.0
    checkpoint_gradients: bool = False
    compile: bool = False
    seed: int = Field(default=0, ge=0, lt=2**63)
    workers: int = Field(default=2, ge=0, le=64)

    @field_validator("timestep_range")
    @classmethod
    def _range(cls, wanted: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= wanted[0] < wanted[1] <= 1000:
            raise ValueError(f"{list(wanted)} is no range; expected 0 <= from < to <= 1000")
        return wanted


class WatchSettings(_Strict):
    """The `[watch]` table: what is saved and measured on the way.

    log: how often a line of figures is written. save: how often a checkpoint is.
    preview: how often sheets of held-out samples are drawn. measure: how often the held-out loss and fidelity are.
    keep: how many checkpoints stay.
    previews: how many held-out samples are drawn on each preview sheet.
    fidelity: how many held-out samples are drawn and compared with their control; 0 measures the loss alone.
    steps: of the sampler in previews. guidance: scale in previews; left out, the base's own.
    tensorboard: also write figures for it. wandb: also send figures to Weights & Biases.
    """

    log: Duration = Duration(50, "steps")
    save: Duration = Duration(1000, "steps")
    preview: NeverOr = Duration(1000, "steps")
    measure: NeverOr = Duration(1000, "steps")
    keep: int = Field(default=3, ge=1)
    previews: int = Field(default=4, ge=1, le=64)
    fidelity: int = Field(default=8, ge=0)
    steps: int = Field(default=20, ge=1, le=1000)
    guidance: float | None = Field(default=None, ge=0)
    tensorboard: bool = True
    wandb: bool = False


class Recipe(_Strict):
    """A whole recipe. run: the folder of the training's results."""

    run: str = Field(min_length=1)
    base: BaseSettings
    adapter: AdapterSettings
    data: DataSettings
    cache: CacheSettings = CacheSettings()
    train: TrainSettings = TrainSettings()
    watch: WatchSettings = WatchSettings()

    @model_validator(mode="after")
    def _together(self) -> Recipe:
        if problems := [*_line_problems(self), *_held_out_problems(self), *_extraction_problems(self)]:
            raise ValueError("\n".join(problems))
        return self


def _line_problems(recipe: Recipe) -> list[str]:
    kind = recipe.adapter.kind
    if recipe.data.hand_drawn and kind not in LINE_KINDS:
        return [f"data.hand_drawn roughens lines, and {kind} has none; leave it out"]
    return []


def _held_out_problems(recipe: Recipe) -> list[str]:
    if recipe.data.held_out:
        return []
    wanted = {"measure": recipe.watch.measure, "preview": recipe.watch.preview}
    return [
        f"watch.{name} needs held-out samples; give data.held_out, or {name} = 'never'"
        for name, every in wanted.items()
        if every is not None
    ]


def _extraction_problems(recipe: Recipe) -> list[str]:
    """What the extractor says of its options; both ends of a range are asked."""
    data = recipe.data
    try:
        extractor = find_extractor(data.extractor or recipe.adapter.kind)
    except ConditionError as error:
        return [f"data.extractor: {str(error).rstrip('.')}"]
    problems = []
    for end in (0, -1):
        options = {name: value[end] if isinstance(value, tuple) else value for name, value in data.extract.items()}
        try:
            extractor.settings(options)
        except ConditionError as error:
            problems.append(f"data.extract: {str(error).rstrip('.')}")
    ranges = {name: value for name, value in data.extract.items() if isinstance(value, tuple)}
    problems += [
        f"data.extract.{name} is {list(value)}, which runs downwards; expected [low, high]"
        for name, value in ranges.items()
        if value[0] > value[1]
    ]
    if data.conditions is not None and (data.extract or data.extractor is not None):
        problems.append(
            "data.conditions gives ready maps, and data.extractor or data.extract makes them from the pictures; keep "
            "one of the two"
        )
    return list(dict.fromkeys(problems))
