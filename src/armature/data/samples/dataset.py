"""All samples of a training, cropped: from a recipe's `[data]` table to pictures and controls of one size a bucket."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from armature.bases.families import Family
from armature.conditions.contract import InputContract
from armature.conditions.kinds import find_kind
from armature.data.samples.condition import ControlMaker
from armature.data.samples.crop import Buckets, Crop, make_buckets, may_flip, place_crop
from armature.data.samples.extraction import plan_extraction
from armature.data.samples.sample import NOTHING, CroppedSample
from armature.data.samples.scan import BadSamples, DataReport, Scan, check_maps, scan, spread
from armature.data.settings import DataSettings
from armature.data.sources.open import open_source
from armature.data.sources.source import BadSampleError, Fingerprint, Problem, Sample, Source, Split
from armature.errors import ConditionError, DatasetError, RecipeError
from armature.files import Digest

# Raised whenever the same sample and settings would give another crop; part of fingerprints.
VERSION = 2
_TRIED = 8


class Dataset:
    """The `CroppedSamples` of a recipe; made by `open_dataset`. Several threads may load samples at once.

    bad: the bad samples met so far. dark_on_light: whether ready line maps were found to be so, and are inverted.
    """

    def __init__(
        self,
        settings: DataSettings,
        source: Source,
        scanned: Scan,
        split: Split,
        buckets: Buckets,
        maker: ControlMaker,
        bad: BadSamples,
        seed: int,
    ) -> None:
        self.bad = bad
        self.dark_on_light = maker.dark_on_light
        self._settings, self._source, self._scan, self._split = settings, source, scanned, split
        self._buckets, self._maker, self._seed = buckets, maker, seed
        self._apart = frozenset(split.held_out)
        self._fingerprint: Fingerprint | None = None
        self._loading = threading.Lock()
        self._loaded = False
        self._unloadable: DatasetError | None = None

    @property
    def name(self) -> str:
        """How reports call the data."""
        return self._source.name

    @property
    def training(self) -> Sequence[int]:
        """Numbers of the samples to learn from, always in the same order."""
        return self._split.training

    @property
    def held_out(self) -> Sequence[int]:
        """Numbers of the samples kept apart; none of them is in `training`."""
        return self._split.held_out

    def key(self, index: int) -> str:
        """A sample's name."""
        return self._source.key(index)

    def bucket(self, index: int) -> tuple[int, int]:
        """(width, height) in pixels of its crop, known without reading the picture."""
        return self._buckets.nearest(*self._scan.sizes[index])

    def fingerprint(self) -> Fingerprint:
        """Changes when any crop would change: source, cropping, extraction, contract. Reads the ends of all files."""
        if self._fingerprint is None:
            settings, maker, source = self._settings, self._maker, self._source.fingerprint()
            pictures = {
                "version": VERSION,
                "source": source.pictures,
                "count": settings.count,
                "buckets": self._buckets.sizes,
                "framing": [settings.crop, settings.flip, settings.held_out, self._seed],
            }
            maps = {
                "source": source.whole,
                "kind": maker.kind,
                "contract": asdict(maker.contract),
                "extraction": None if maker.extraction is None else maker.extraction.summary(),
                "dark on light": maker.dark_on_light,
                "hand drawn": settings.hand_drawn,
            }
            self._fingerprint = Fingerprint(_digest(pictures), _digest({**pictures, **maps}))
        return self._fingerprint

    def load(self, index: int, variant: int = 0, *, with_control: bool = True) -> CroppedSample:
        """Read and crop a sample; the same number and variant always give the same.

        Held-out samples have one variant, cut from the middle, neither mirrored nor roughened. with_control: without,
        the control is neither read nor extracted.
        Raises BadSampleError for a bad sample, which is then counted; any other DatasetError when it is one too many.
        """
        return self._load(index, variant, with_control)[0]

    def check(self) -> DataReport:
        """What the data is like: counts, buckets, bad samples, and notes on a few samples that are loaded for it.

        Raises DatasetError as `load` does when bad samples are too many.
        """
        counts = Counter(self.bucket(index) for index in self.training)
        small = [
            (index, size)
            for index, size in self._scan.sizes.items()
            if any(side < wanted for side, wanted in zip(size, self.bucket(index), strict=True))
        ]
        worst = min(small, key=lambda entry: entry[1][0] * entry[1][1], default=None)
        notes: dict[str, None] = {}
        if self.dark_on_light:
            notes["The condition maps are dark lines on light ground; they are inverted to white on black."] = None
        for index in spread(self.training, _TRIED):
            try:
                notes.update(dict.fromkeys(self._load(index, 0, True)[1]))
            except BadSampleError:
                continue  # counted
        return DataReport(
            name=self.name,
            samples=self._scan.looked_at,
            training=len(self.training),
            held_out=len(self.held_out),
            buckets=tuple((size, counts[size]) for size in self._buckets.sizes if counts[size]),
            small=len(small),
            smallest=None if worst is None else (self.key(worst[0]), worst[1]),
            bad=tuple(self.bad.by_key.items()),
            notes=tuple(notes),
        )

    def _load(self, index: int, variant: int, with_control: bool) -> tuple[CroppedSample, tuple[str, ...]]:
        """The sample, and what is to be told of it."""
        try:
            sample = self._source.read(index, mapped=with_control)
            crop = self._crop(index, sample, variant)
            pixels = crop.apply(sample.picture, "picture")
            control, notes = self._control(index, sample, pixels, crop, variant) if with_control else (NOTHING, ())
        except BadSampleError as error:
            self.bad.add(error.key, error.problem, self._scan.looked_at)
            raise
        told = (sample.key, sample.caption, pixels, crop.original, crop.corner, crop.target)
        return CroppedSample(index, variant, *told, control), (*sample.notes, *notes)

    def _crop(self, index: int, sample: Sample, variant: int) -> Crop:
        settings = self._settings
        held_out = index in self._apart
        rng = sample_rng("window", self._seed, sample.key, variant)
        # Drawn first, and always, so that flipping and cropping do not disturb each other.
        mirrored = rng.random() < 0.5 and not held_out and may_flip(sample.caption, settings.flip)
        crop = "centre" if held_out else settings.crop
        height, width = sample.picture.shape[:2]
        return place_crop((width, height), self.bucket(index), crop, bool(mirrored), rng)

    def _control(
        self, index: int, sample: Sample, pixels: np.ndarray, crop: Crop, variant: int
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        if sample.condition is None:
            self._load_extractor()
        held_out = index in self._apart
        options = sample_rng("options", self._seed, sample.key, 0 if held_out else variant)
        hand = sample_rng("hand", self._seed, sample.key, variant)
        roughened = hand.random() < self._settings.hand_drawn and not held_out
        try:
            return self._maker.make(sample, pixels, crop, options, hand if roughened else None)
        except ConditionError as error:
            raise BadSampleError(sample.key, Problem("condition", str(error))) from error

    def _load_extractor(self) -> None:
        """Only now, because a finished cache never needs it; once, because networks are large, and one that cannot be
        had costs a minute of trying to reach it.
        """
        with self._loading:
            if not self._loaded and self._maker.extraction is not None:
                try:
                    self._maker.extraction.load()
                except DatasetError as error:
                    self._unloadable = error
            self._loaded = True
            if self._unloadable is not None:
                raise self._unloadable


def _digest(content: dict[str, Any]) -> str:
    return Digest(json.dumps(content, sort_keys=True, default=str)).hex


def sample_rng(purpose: str, seed: int, key: str, variant: int) -> np.random.Generator:
    """Random numbers of a sample for one purpose ("window", "options"...), the same on every machine: a new purpose
    leaves the others' draws alone.
    """
    return np.random.default_rng(Digest(purpose, seed, key, variant).number)


def open_dataset(
    settings: DataSettings, *, kind: str, contract: InputContract, family: Family, stride: int, seed: int
) -> Dataset:
    """Open the data of a recipe and look at every header, without decoding pictures.

    kind: of control. contract: what the adapter sees. family: of the base. stride: of adapter and autoencoder
    together, in pixels. seed: of everything random about crops, and of the choice of held-out samples.
    Raises RecipeError for settings that cannot be right; DatasetError when there is no data, too much of it is bad,
    or its line maps do not agree on what is ground.
    """
    source = open_source(settings, kind)
    step = source.bucket_step if settings.bucket_step is None else settings.bucket_step
    buckets = make_buckets(settings.resolution, step, usual_step=family.bucket_step, stride=stride)
    if settings.hand_drawn and find_kind(kind).content != "line":
        raise RecipeError(f"data.hand_drawn roughens lines, and {kind} has none; leave it out.")
    if contract.channels not in (1, 3):
        raise RecipeError(f"An adapter of {contract.channels} channels cannot be trained on pictures; take 1 or 3.")
    extraction = None if source.has_maps else plan_extraction(settings.extractor or kind, kind, settings.extract)
    bad = BadSamples(source.name, strict=settings.strict, share=settings.bad_share)
    scanned = scan(source, settings.count, bad)
    split = source.split(scanned.usable, settings.held_out, seed)
    dark_on_light = check_maps(source, scanned.usable, kind, contract, settings.flip)
    maker = ControlMaker(kind, contract, extraction, dark_on_light)
    return Dataset(settings, source, scanned, split, buckets, maker, bad, seed)
