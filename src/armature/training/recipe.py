"""The recipe: everything that decides a training, in one checked and frozen value."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from armature.adapters.spec import Network
from armature.conditions.kinds import canonical_kind
from armature.data.settings import CacheSettings, DataSettings
from armature.errors import ConditionError
from armature.training.duration import Duration

Share = Annotated[float, Field(ge=0, le=1)]
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

    model: "embedded", a hub id, a diffusers folder or a single file. vae: another autoencoder, or none.
    precision: of its weights; "auto" is bfloat16 on a GPU that has it, else float16, and float32 on a CPU.
    """

    model: str = Field(min_length=1)
    vae: str | None = None
    precision: Precision = "auto"


class AdapterSettings(_Strict):
    """The `[adapter]` table: what is trained.

    kind: of control. network: "auto" is full, or full_xl for SDXL; "light" suits colour.
    channels: of the condition map, 1 or 3; left out, the kind's contract decides.
    blocks: residual blocks a level; left out, 2, and 4 for light. divisor: a light level works at its width / divisor.
    start: an adapter to start from: file, folder, hub id or "embedded:KIND"; another kind is allowed.
    """

    kind: str
    network: Network | Literal["auto"] = "auto"
    channels: Literal[1, 3] | None = None
    blocks: int | None = Field(None, ge=1, le=8)
    divisor: int = Field(4, ge=1, le=32)
    start: str | None = None

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

    length: when it ends. batch: samples of one process in one forward pass. accumulate: passes a step.
    learning_rate: the peak. schedule: constant, cosine (down to 2 % of the peak) or linear (down to 0).
    warmup: optimizer steps of the way up.
    optimizer: "adamw", or "adamw8bit" where bitsandbytes is installed. clip: largest gradient norm; 0 never clips.
    ema: decay of the averaged weights, which are those that are saved; 0 keeps none.
    precision: of the arithmetic around the adapter, whose own weights stay float32; "auto" follows the base.
    timesteps: which noise levels; timestep_range: from, up to but without, in thousandths of the schedule.
    min_snr: cap of min-SNR weighting; 0 is the paper's plain error. noise_offset: 0 is none.
    caption_dropout, condition_dropout: shares of samples whose caption or condition is left empty.
    checkpoint_gradients: less memory, more time. compile: torch.compile the frozen U-Net.
    seed: of everything random. workers: threads that prepare batches ahead.
    """

    length: Duration = Duration(10_000, "steps")
    batch: int = Field(8, ge=1)
    accumulate: int = Field(1, ge=1)
    learning_rate: float = Field(1e-5, gt=0, le=1)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup: int = Field(0, ge=0)
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, ge=0)
    ema: float = Field(0.0, ge=0, lt=1)
    precision: Precision = "auto"
    timesteps: Literal["cubic", "uniform", "logit-normal"] = "cubic"
    timestep_range: tuple[int, int] = (0, 1000)
    min_snr: float = Field(0.0, ge=0)
    noise_offset: float = Field(0.0, ge=0, le=1)
    caption_dropout: Share = 0.1
    condition_dropout: Share = 0.0
    checkpoint_gradients: bool = False
    compile: bool = False
    seed: int = Field(0, ge=0, lt=2**63)
    workers: int = Field(2, ge=0, le=64)

    @field_validator("timestep_range")
    @classmethod
    def _range(cls, wanted: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= wanted[0] < wanted[1] <= 1000:
            raise ValueError(f"{list(wanted)} is no range; expected 0 <= from < to <= 1000")
        return wanted


class WatchSettings(_Strict):
    """The `[watch]` table: what is saved and measured on the way.

    log, save, preview, measure: how often, or "never". keep: how many checkpoints stay.
    previews: how many held-out samples are drawn on each preview sheet.
    fidelity: how many held-out samples are drawn and compared with their control; 0 measures the loss alone.
    steps, guidance: of the sampler in previews. tensorboard, wandb: also write there.
    """

    log: Duration = Duration(50, "steps")
    save: Duration = Duration(1000, "steps")
    preview: NeverOr = Duration(1000, "steps")
    measure: NeverOr = Duration(1000, "steps")
    keep: int = Field(3, ge=1)
    previews: int = Field(4, ge=1, le=64)
    fidelity: int = Field(8, ge=0)
    steps: int = Field(20, ge=1, le=1000)
    guidance: float | None = Field(None, ge=0)
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
        if self.data.hand_drawn and self.adapter.kind not in ("sketch", "canny", "lineart", "softedge"):
            raise ValueError(f"data.hand_drawn roughens lines, and {self.adapter.kind} has none; leave it out")
        if self.watch.measure is not None and self.data.held_out == 0:
            raise ValueError("watch.measure needs held-out samples; give data.held_out, or measure = 'never'")
        return self
