"""The control of a frame: its ready map or one that is extracted, in the form that the adapter's contract asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from armature.conditions.contract import WHITE_ON_BLACK, InputContract
from armature.conditions.control_map import prepare_pixels
from armature.conditions.kinds import content_of, find_kind
from armature.data.line_augment import rough_lines
from armature.data.samples.crop import Window
from armature.data.samples.extraction import Extraction
from armature.data.samples.polarity import normalize_polarity
from armature.data.sources.source import Sample
from armature.errors import ConditionError

# Annotators round sizes to multiples of 64 and stretch by a few percent; more than this is another cut of the picture.
_STRETCH = 1.07


@dataclass(frozen=True, eq=False)
class Control:
    """pixels: (h, w) or (h, w, 3) uint8, red first. notes: what does not fit the contract, in sentences."""

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ControlMaker:
    """Makes the controls of one training.

    extraction: None where samples bring their maps. dark_on_light: how ready line maps are drawn.
    """

    kind: str
    contract: InputContract
    extraction: Extraction | None
    dark_on_light: bool = False

    def make(
        self,
        sample: Sample,
        pixels: np.ndarray,
        window: Window,
        options: np.random.Generator,
        hand: np.random.Generator | None = None,
    ) -> Control:
        """The control of a frame.

        pixels: the framed picture, from which missing maps are extracted. options: draws the extractor's options.
        hand: given when the lines are to be roughened.
        Raises ConditionError for a map that cannot be used.
        """
        if sample.condition is not None:
            found = self._framed(sample, window)
        elif self.extraction is not None:
            found = self.extraction.run(pixels, self.extraction.draw(options))
        else:
            raise ConditionError("It has no map, and no extractor was chosen.")
        return self._in_form(found, hand)

    def _framed(self, sample: Sample, window: Window) -> np.ndarray:
        """The sample's own map, cut and mirrored with its picture."""
        found = sample.condition
        assert found is not None
        _check_proportions(found.shape, window.original)
        if self.contract.polarity == WHITE_ON_BLACK:
            found = normalize_polarity(found, self.dark_on_light)
        content, mirror = content_of(self.contract), find_kind(self.kind).mirror
        if not window.mirrored or mirror is None:
            return window.cut(found, content)
        if sample.mirrored is not None:
            return window.cut_mirrored(sample.mirrored, content)
        return mirror(replace(window, mirrored=False).cut(found, content))

    def _in_form(self, found: np.ndarray, hand: np.random.Generator | None) -> Control:
        contract = self.contract
        if contract.polarity == WHITE_ON_BLACK:
            # The brightest channel: a blue line is a line. How light the ground is was settled before.
            found = found.max(axis=-1) if found.ndim == 3 else found
            contract = replace(contract, polarity=None)
        values, notes = _prepared(found, contract)
        if hand is not None:
            lines = rough_lines(np.ascontiguousarray(values[..., 0]), hand)
            values = np.repeat(lines[..., None], values.shape[-1], axis=-1)
        return Control(values[..., 0] if values.shape[-1] == 1 else values, notes)


def _prepared(found: np.ndarray, contract: InputContract) -> tuple[np.ndarray, tuple[str, ...]]:
    pixels = prepare_pixels(found, contract, allow_empty=True)
    # Every map's channels are reordered on encoding; that is no news about this one.
    notes = tuple(note for note in pixels.notes if not note.startswith("Channels go in"))
    return np.rint(pixels.values * np.float32(255)).astype(np.uint8), notes


def _check_proportions(shape: tuple[int, ...], original: tuple[int, int]) -> None:
    stretch = (shape[1] / shape[0]) / (original[1] / original[0])
    if not 1 / _STRETCH <= stretch <= _STRETCH:
        raise ConditionError(
            f"Its map is {shape[1]} x {shape[0]} px and the picture {original[1]} x {original[0]} px (upright): "
            "other proportions, so they do not show the same part."
        )
