"""The recipe: everything that decides a training, in one checked and frozen value."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from armature.conditions.kinds import canonical_kind, find_kind
from armature.conditions.registry import find_extractor
from armature.data.settings import CacheSettings, DataSettings
from armature.errors import ConditionError
from armature.training.recipe.duration import Duration

Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
# TOML has no null: "never" stands for it.
DurationOrNever = Annotated[
    Duration | None,
    BeforeValidator(lambda value: None if value == "never" else value),
    PlainSerializer(lambda value: "never" if value is None else str(value)),
]
Precision = Literal["auto", "float32", "float16", "bfloat16"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BaseSettings(_Strict):
    """The `[base]` table: the frozen model."""

    model: str = Field(min_length=1, description='"embedded", a hub id, a diffusers folder or a single file')
    config: str | None = Field(
        default=None,
        description="for a single file, a diffusers folder or hub id of its family, for configuration and tokenizer",
    )
    vae: str | None = Field(default=None, description="another autoencoder; left out, its own")
    precision: Precision = Field(
        default="auto",
        description='of its weights; "auto" is bfloat16 on a GPU that has it, else float16, and float32 on a CPU',
    )


class AdapterSettings(_Strict):
    """The `[adapter]` table: what is trained."""

    kind: str = Field(description="what the adapter follows: a name that `armature list kinds` shows")
    network: str = Field(
        default="auto", description='full, full_xl, light...; "auto" is full, or full_xl for SDXL; "light" suits colour'
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="of the condition map; left out, the kind's contract decides"
    )
    blocks: int | None = Field(
        default=None,
        ge=1,
        le=8,
        description="residual blocks a level; left out, those of `init_from`, else 2, and 4 for light",
    )
    divisor: int = Field(
        default=4, ge=1, le=32, description="a light level works at its width / divisor; other programs know 4 only"
    )
    init_from: str | None = Field(
        default=None,
        description='an adapter whose weights it begins with: file, folder, hub id or "embedded:KIND"; another kind is '
        "allowed",
    )

    @field_validator("network")
    @classmethod
    def _network(cls, network: str) -> str:
        if network == "auto":
            return network
        # The networks are torch's modules, and a recipe is to be read, and its mistakes told, at once.
        from armature.adapters.registry import NETWORKS

        known = ("auto", *(name for name, one in NETWORKS.items() if one.takes == "condition map"))
        if network not in known:
            raise ValueError(f"{network!r} is no network that can be trained; expected {', '.join(known)}")
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
    """The `[train]` table: how it is trained."""

    length: Duration = Field(
        default=Duration(10_000, "steps"),
        description="when it ends; steps are the optimizer's, minutes are of training alone",
    )
    batch: int = Field(default=8, ge=1, description="samples of one process in one forward pass")
    accumulate: int = Field(default=1, ge=1, description="forward passes of an optimizer step")
    learning_rate: float = Field(default=1e-5, gt=0, le=1, description="at its peak")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        default="constant", description="constant, cosine (down to 2 % of the peak) or linear (down to 0)"
    )
    warmup: int = Field(default=0, ge=0, description="optimizer steps on which the learning rate rises from 0")
    optimizer: Literal["adamw", "adamw8bit"] = Field(
        default="adamw", description='"adamw", or "adamw8bit" where bitsandbytes is installed'
    )
    betas: tuple[Decay, Decay] = Field(default=(0.9, 0.999), description="of AdamW")
    weight_decay: float = Field(default=0.01, ge=0, description="of AdamW")
    clip: float = Field(default=1.0, ge=0, description="largest gradient norm; 0 never clips")
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay of the averaged weights, which are those that are saved; 0 keeps none",
    )
    precision: Precision = Field(
        default="auto",
        description='of the arithmetic around the adapter, whose own weights stay float32; "auto" follows the base',
    )
    timesteps: Literal["cubic", "uniform", "logit-normal"] = Field(
        default="cubic", description="how noise levels are drawn; the paper's cubic prefers the early, noisy ones"
    )
    timestep_range: tuple[int, int] = Field(
        default=(0, 1000), description="from, up to but without, in thousandths of the schedule"
    )
    min_snr: float = Field(default=0.0, ge=0, description="cap of min-SNR weighting; 0 is the paper's plain error")
    noise_offset: float = Field(default=0.0, ge=0, le=1, description="noise that a whole channel shares; 0 is none")
    caption_dropout: Share = Field(default=0.1, description="share of samples whose caption is left empty")
    condition_dropout: Share = Field(default=0.0, description="share of samples whose condition map is left empty")
    checkpoint_gradients: bool = Field(
        default=False, description="compute the U-Net's activations twice, for less memory and more time"
    )
    compile: bool = Field(default=False, description="run the frozen U-Net through torch.compile")
    seed: int = Field(default=0, ge=0, lt=2**63, description="of everything random")
    workers: int = Field(default=2, ge=0, le=64, description="threads that prepare batches ahead")

    @field_validator("timestep_range")
    @classmethod
    def _range(cls, wanted: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= wanted[0] < wanted[1] <= 1000:
            raise ValueError(f"{list(wanted)} is no range; expected 0 <= from < to <= 1000")
        return wanted


class LoggingSettings(_Strict):
    """The `[logging]` table: the figures that a training tells of itself, and where."""

    every: Duration = Field(default=Duration(50, "steps"), description="how often a line of figures is written")
    tensorboard: bool = Field(default=True, description="also write the figures for TensorBoard")
    wandb: bool = Field(default=False, description="also send the figures to Weights & Biases")


class EvalSettings(_Strict):
    """The `[eval]` table: what is measured and drawn of the held-out samples on the way."""

    every: DurationOrNever = Field(
        default=Duration(1000, "steps"), description="how often the held-out loss and the control fidelity are measured"
    )
    fidelity_samples: int = Field(
        default=8,
        ge=0,
        description="how many held-out samples are drawn and compared with their control; 0 measures the loss alone",
    )
    preview_every: DurationOrNever = Field(
        default=Duration(1000, "steps"), description="how often sheets of held-out samples are drawn"
    )
    preview_samples: int = Field(
        default=4, ge=1, le=64, description="how many held-out samples are drawn on each preview sheet"
    )
    steps: int = Field(default=20, ge=1, le=1000, description="of the sampler that draws them")
    guidance: float | None = Field(
        default=None, ge=0, description="guidance scale with which they are drawn; left out, the base's own"
    )


class CheckpointSettings(_Strict):
    """The `[checkpoint]` table: what an interrupted training goes on from."""

    every: Duration = Field(default=Duration(1000, "steps"), description="how often one is saved")
    keep: int = Field(default=3, ge=1, description="how many of the newest ones stay")


class Recipe(_Strict):
    """A whole recipe."""

    run: str = Field(min_length=1, description="the folder of the training's results")
    base: BaseSettings
    adapter: AdapterSettings
    data: DataSettings
    cache: CacheSettings = CacheSettings()
    train: TrainSettings = TrainSettings()
    logging: LoggingSettings = LoggingSettings()
    eval: EvalSettings = EvalSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()

    @model_validator(mode="after")
    def _together(self) -> Recipe:
        if problems := [*_line_problems(self), *_held_out_problems(self), *_extraction_problems(self)]:
            raise ValueError("\n".join(problems))
        return self


def _line_problems(recipe: Recipe) -> list[str]:
    kind = recipe.adapter.kind
    if recipe.data.hand_drawn and find_kind(kind).content != "line":
        return [f"data.hand_drawn roughens lines, and {kind} has none; leave it out"]
    return []


def _held_out_problems(recipe: Recipe) -> list[str]:
    if recipe.data.held_out:
        return []
    wanted = {"eval.every": recipe.eval.every, "eval.preview_every": recipe.eval.preview_every}
    return [
        f"{name} needs held-out samples; give data.held_out, or {name} = 'never'"
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
