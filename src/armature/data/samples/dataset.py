"""All samples of a training, framed: from a recipe's `[data]` table to pictures and controls of one size a bucket."""

from __future__ import annotations

import hashlib
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
from armature.data.samples.buckets import Buckets, make_buckets
from armature.data.samples.checks import look_at_maps, spread
from armature.data.samples.condition import Control, ControlMaker
from armature.data.samples.crop import Window, place_window
from armature.data.samples.draws import sample_rng
from armature.data.samples.extraction import Extraction, plan_extraction
from armature.data.samples.flip import may_flip
from armature.data.samples.report import DataReport
from armature.data.samples.sample import Framed, Picture
from armature.data.samples.scan import Scan, Split, scan, split
from armature.data.settings import DataSettings
from armature.data.sources.bad import BadSampleError, BadSamples, Problem
from armature.data.sources.open import open_source
from armature.data.sources.source import Fingerprint, Sample, Source
from armature.data.sources.toyworld import KINDS as TOYWORLD_KINDS
from armature.data.sources.toyworld import ToyworldSource
from armature.errors import ConditionError, DatasetError, RecipeError

# Raised whenever the same sample and settings would give another frame; part of fingerprints.
VERSION = 2
_TRIED = 8


class Dataset:
    """The `Frames` of a recipe; made by `open_dataset`. Several threads may read frames at once.

    bad: the bad samples met so far. dark_on_light: whether ready line maps were found to be so, and are inverted.
    """

    def __init__(
        self,
        settings: DataSettings,
        source: Source,
        found: Scan,
        parts: Split,
        buckets: Buckets,
        maker: ControlMaker,
        bad: BadSamples,
        seed: int,
    ) -> None:
        self.bad = bad
        self.dark_on_light = maker.dark_on_light
        self._settings, self._source, self._scan, self._split = settings, source, found, parts
        self._buckets, self._maker, self._seed = buckets, maker, seed
        self._apart = parts.held_out if isinstance(parts.held_out, range) else frozenset(parts.held_out)
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
        """(width, height) in pixels of its frame, known without reading the picture."""
        return self._buckets.nearest(*self._scan.sizes[index])

    def fingerprint(self) -> Fingerprint:
        """Changes when any frame would change: source, framing, extraction, contract. Reads the ends of all files."""
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

    def frame(self, index: int, variant: int = 0) -> Framed:
        """Read and frame a sample; the same number and variant always give the same frame.

        Held-out samples have one variant, cut from the middle, neither mirrored nor roughened.
        Raises BadSampleError for a bad sample, which is then counted; any other DatasetError when it is one too many.
        """
        return self._frame(index, variant)[0]

    def picture(self, index: int, variant: int = 0) -> Picture:
        """The frame without its control, which is neither read nor extracted; raises what `frame` raises."""
        try:
            return self._cut(index, self._source.read(index, mapped=False), variant)[1]
        except BadSampleError as error:
            self._count(error)
            raise

    def check(self) -> DataReport:
        """What the data is like: counts, buckets, bad samples, and notes on a few samples that are framed for it.

        Raises DatasetError as `frame` does when bad samples are too many.
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
                notes.update(dict.fromkeys(self._frame(index, 0)[1]))
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
            bad=tuple(self.bad.found.items()),
            notes=tuple(notes),
        )

    def _frame(self, index: int, variant: int) -> tuple[Framed, tuple[str, ...]]:
        try:
            sample = self._source.read(index)
            window, picture = self._cut(index, sample, variant)
            control = self._control(index, sample, picture.pixels, window, variant)
        except BadSampleError as error:
            self._count(error)
            raise
        return Framed.of(picture, control.pixels), (*sample.notes, *control.notes)

    def _cut(self, index: int, sample: Sample, variant: int) -> tuple[Window, Picture]:
        window = self._window(index, sample, variant)
        pixels = window.cut(sample.picture, "picture")
        return window, Picture(sample.key, sample.caption, pixels, window.original, window.corner, window.target)

    def _count(self, error: BadSampleError) -> None:
        self.bad.add(error.key, error.problem, self._scan.looked_at)

    def _window(self, index: int, sample: Sample, variant: int) -> Window:
        settings = self._settings
        held_out = index in self._apart
        rng = sample_rng("window", self._seed, sample.key, variant)
        # Drawn first, and always, so that flipping and cropping do not disturb each other.
        mirrored = rng.random() < 0.5 and not held_out and may_flip(sample.caption, settings.flip)
        crop = "centre" if held_out else settings.crop
        height, width = sample.picture.shape[:2]
        return place_window((width, height), self.bucket(index), crop, bool(mirrored), rng)

    def _control(self, index: int, sample: Sample, pixels: np.ndarray, window: Window, variant: int) -> Control:
        if sample.condition is None:
            self._load_extractor()
        held_out = index in self._apart
        options = sample_rng("options", self._seed, sample.key, 0 if held_out else variant)
        hand = sample_rng("hand", self._seed, sample.key, variant)
        roughened = hand.random() < self._settings.hand_drawn and not held_out
        try:
            return self._maker.make(sample, pixels, window, options, hand if roughened else None)
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
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def open_dataset(
    settings: DataSettings, *, kind: str, contract: InputContract, family: Family, stride: int, seed: int
) -> Dataset:
    """Open the data of a recipe and look at every header, without decoding pictures.

    kind: of control. contract: what the adapter sees. family: of the base. stride: of adapter and autoencoder
    together, in pixels. seed: of everything random about frames, and of the choice of held-out samples.
    Raises RecipeError for settings that cannot be right; DatasetError when there is no data, too much of it is bad,
    or its line maps do not agree on what is ground.
    """
    source = open_source(settings, kind)
    toyworld = isinstance(source, ToyworldSource)
    step = 0 if toyworld and settings.bucket_step is None else settings.bucket_step
    buckets = make_buckets(settings.resolution, step, usual_step=family.bucket_step, stride=stride)
    if settings.hand_drawn and find_kind(kind).content != "line":
        raise RecipeError(f"data.hand_drawn roughens lines, and {kind} has none; leave it out.")
    if contract.channels not in (1, 3):
        raise RecipeError(f"An adapter of {contract.channels} channels cannot be trained on pictures; take 1 or 3.")
    extraction = _extraction(settings, source, kind)
    bad = BadSamples(source.name, strict=settings.strict, share=settings.bad_share)
    found = scan(source, None if toyworld else settings.count, bad)
    parts = split(source, found.usable, settings.held_out, seed)
    dark_on_light = look_at_maps(settings, source, found.usable, kind, contract)
    maker = ControlMaker(kind, contract, extraction, dark_on_light)
    return Dataset(settings, source, found, parts, buckets, maker, bad, seed)


def _extraction(settings: DataSettings, source: Source, kind: str) -> Extraction | None:
    chosen = settings.extractor is not None or bool(settings.extract)
    if not chosen and (
        settings.conditions is not None or (isinstance(source, ToyworldSource) and kind in TOYWORLD_KINDS)
    ):
        return None
    return plan_extraction(settings.extractor or kind, kind, settings.extract)
