"""What a recipe says about its data: where samples come from, how they are cropped, and what is cached."""

from __future__ import annotations

import pkgutil
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from armature.data.sources import formats

AUTO = "auto"
Flip = Literal["never", "text-safe", "always"]

# An option of an extractor: a value, or the two ends of the range that each sample draws its own value from.
OptionValue = bool | int | float | str | tuple[int, int] | tuple[float, float]


class _Table(BaseModel):
    """Unknown keys are mistakes, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(_Table):
    """The `[data]` table of a recipe: where samples come from and how they are cropped."""

    source: str = Field(
        min_length=1,
        description='a folder, a shard pattern, a data set\'s hub id or folder on disk, or "toyworld"',
    )
    format: str = Field(
        default=AUTO,
        description='folder, imagefolder, webdataset, hf or toyworld; "auto" looks (a metadata.jsonl makes an '
        "imagefolder, .tar files are WebDataset shards...)",
    )
    conditions: str | None = Field(
        default=None,
        description="where ready condition maps are: a folder paired by stem, a column, or a member ending of a shard; "
        "left out, they are extracted from the pictures",
    )
    extractor: str | None = Field(
        default=None,
        description="what extracts them, by the names of `armature.extract`; left out, the adapter's kind",
    )
    extract: dict[str, OptionValue] = Field(
        default={}, description="its options; two numbers [low, high] draw a value for each sample"
    )
    image_column: str = Field(default="image", description="for metadata files and HF data sets")
    caption_column: str = Field(default="text", description="for metadata files and HF data sets")
    default_caption: str | None = Field(
        default=None, min_length=1, description="of pictures that have none; left out, they are bad samples"
    )
    split: str = Field(default="train", description="for metadata files and HF data sets")
    count: int | None = Field(
        default=None,
        ge=1,
        description="at most so many samples; for toyworld, which has no end, how many scenes make an epoch",
    )
    resolution: int = Field(
        default=512, ge=64, le=4096, description="pixels along the side of a square of the target area"
    )
    bucket_step: int | None = Field(
        default=None,
        ge=0,
        le=512,
        description="sides of the aspect-ratio buckets are multiples of it; 0 crops every picture to a square; left "
        "out, it is 64, and 32 for SDXL",
    )
    crop: Literal["centre", "random"] = Field(
        default="random", description="what is taken of a picture that is larger than its bucket"
    )
    flip: Flip = Field(
        default="never",
        description='mirror half of the samples; "text-safe" leaves those alone whose caption speaks of left, right or '
        "writing",
    )
    hand_drawn: float = Field(
        default=0.0, ge=0, le=1, description="share of line maps that are roughened the way hands draw, 0..1"
    )
    held_out: int = Field(default=16, ge=0, description="how many samples are kept from training, to measure on")
    strict: bool = Field(
        default=False,
        description="stop at the first bad sample; otherwise up to bad_share of them are skipped and reported",
    )
    bad_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="share of bad samples above which the list is shown and nothing is trained",
    )

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        known = [AUTO, *(module.name for module in pkgutil.iter_modules(formats.__path__))]
        if name not in known:
            raise ValueError(f"{name!r} is no format of data; expected one of {', '.join(known)}")
        return name

    @field_validator("bucket_step")
    @classmethod
    def _step(cls, step: int | None) -> int | None:
        if step is not None and step % 8:
            raise ValueError(f"{step} is no multiple of 8, the autoencoder's stride; take 64, or 32 for SDXL")
        return step


class CacheSettings(_Table):
    """The `[cache]` table of a recipe: what is encoded once, and where it is kept."""

    enabled: bool = Field(
        default=True,
        description="encode everything once, before training; without it pictures are encoded while training",
    )
    folder: str = Field(
        default="cache",
        description="where caches lie, two sub-folders each, named after the content of settings and source",
    )
    variants: int = Field(
        default=1, ge=1, le=64, description="how many variants (crop, flip, thresholds) of each sample are kept"
    )
    shard: int = Field(default=256, ge=1, description="samples in one file")
