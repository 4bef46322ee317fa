"""A control as its adapter wants it: the contract applied to any picture, with a note on everything that changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature.conditions.contract import WHITE_ON_BLACK, InputContract
from armature.conditions.kinds import KINDS, content_of
from armature.conditions.picture.arrays import array_values, is_tensor, tensor_to_numpy
from armature.conditions.picture.drawing import read_lines
from armature.conditions.picture.fit import Fit, fit_note, fit_values, fit_word
from armature.conditions.picture.reading import Pixels, read_pixels, to_picture
from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

# Seg maps that went through JPEG or smooth scaling keep most pixels near a palette colour; wrong palettes do not.
_NEAR_COLOUR = 12 / 255
_REDUCED = "Colours were reduced to brightness."


@dataclass(frozen=True)
class PreparedControl:
    """A control that fits its contract.

    tensor: (N, C, H, W) float32, within the contract's range, channels in the contract's order.
    picture: the first control as a person would look at it: "L" or "RGB", never reordered to BGR.
    notes: every change made, as sentences.
    """

    tensor: torch.Tensor
    picture: Image.Image
    notes: tuple[str, ...] = ()


def prepare_control(
    source: Any,
    contract: InputContract,
    *,
    size: tuple[int, int] | None = None,
    fit: Fit = "stretch",
    allow_empty: bool = False,
) -> PreparedControl:
    """Apply the contract to a picture, or to a list of pictures, which gives a batch.

    source: path, PIL picture, NumPy array, tensor, (N, C, H, W) tensor, or a sequence of single ones; for kinds that
        have data of their own, the path of such a file (OpenPose JSON).
    size: (width, height) in pixels; None keeps the picture's own, which all pictures of a batch must then share.
    fit: see `fit_values`; how values are resampled is the kind's own way, the one by which training resizes its maps.
    Raises ConditionError for what `read_pixels` refuses, an all-black or blank control (unless allow_empty), an empty
    list, and pictures of different sizes without `size`.
    """
    import numpy as np
    import torch

    sources = _sources(source)
    done = [prepare_pixels(one, contract, size, fit, allow_empty) for one in sources]
    sizes = {pixels.values.shape[1::-1] for pixels in done}
    if len(sizes) > 1:
        raise ConditionError(
            f"The controls of one batch have different sizes (width, height) {sorted(sizes)}; "
            "give `size`, or pictures of one size."
        )
    stacked = np.stack([pixels.values for pixels in done]).transpose(0, 3, 1, 2)
    if contract.order == "BGR":
        stacked = stacked[:, ::-1]
    low, high = contract.range
    if contract.range != (0.0, 1.0):
        stacked = stacked * np.float32(high - low) + np.float32(low)
    # A copy: from_numpy would otherwise share memory with the caller's array, or refuse negative strides.
    tensor = torch.from_numpy(np.array(stacked, dtype=np.float32, order="C"))
    first = done[0].values
    shown = first if first.shape[-1] in (1, 3) else first[..., :1]
    notes = dict.fromkeys(note for pixels in done for note in pixels.notes)
    return PreparedControl(tensor, to_picture(shown), tuple(notes))


def _sources(source: Any) -> list[Any]:
    """The single controls in a source: a list as it is, a batched tensor taken apart, anything else alone."""
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes)):
        if not source:
            raise ConditionError("The list of control pictures is empty; give at least one.")
        return list(source)
    if is_tensor(source) and source.ndim == 4:
        if source.shape[0] == 0:
            raise ConditionError(f"The control tensor has shape {tuple(source.shape)}: no pictures in it.")
        return list(source)
    return [source]


def prepare_pixels(
    source: Any,
    contract: InputContract,
    size: tuple[int, int] | None = None,
    fit: Fit = "stretch",
    allow_empty: bool = False,
) -> Pixels:
    """One control under its contract as numbers (H, W, contract.channels) in 0..1, still red first; see
    `prepare_control`, which adds range, order and batch.
    """
    pixels = _read_raw(source, contract) if contract.order == "raw" else read_control(source, contract)
    values, notes = pixels.values, list(pixels.notes)
    if contract.polarity == WHITE_ON_BLACK:
        values = _white_on_black(values, contract, notes, allow_empty)
    # Maps are 8 bits a channel wherever they are kept, in files and in the caches that adapters learn from. One that
    # comes so is resized and reduced to brightness in 8 bits, as training does it, so that both see the same pixels.
    eight_bit = contract.order != "raw" and _is_eight_bit(values)
    if not allow_empty:
        _refuse_empty(values, contract)
    if size is not None:
        shape = (size[1], size[0])
        if note := fit_note(values.shape[:2], shape, fit):
            notes.append(note)
            content = content_of(contract)
            if eight_bit:
                values = _from_bytes(fit_values(_to_bytes(values), shape, fit, content=content))
            else:
                values = fit_values(values, shape, fit, content=content)
            if not allow_empty and not float(values.max()) >= 1 / 255:
                raise ConditionError(
                    f"Nothing of the {contract.kind} control is left in {size[0]} x {size[1]} px, {fit_word(fit)}: it "
                    "would control nothing. Use another size or another fit."
                )
    values = _channels(values, contract, notes)
    if eight_bit:
        values = _from_bytes(_to_bytes(values))
    if contract.binarize is not None:
        values = _binary(values, contract.binarize, notes)
    if contract.palette is not None:
        _check_palette(values, contract.palette, notes)
    if contract.order == "BGR":
        notes.append("Channels go in as blue, green, red: this adapter was trained so.")
    return Pixels(values, tuple(notes))


def read_control(source: Any, contract: InputContract) -> Pixels:
    """The picture of a control, or what its kind's record draws from a data file; raises ConditionError otherwise."""
    kind = KINDS.get(contract.kind)
    if kind is not None and isinstance(source, (str, os.PathLike)):
        draw = kind.drawn_from.get(Path(source).suffix.lower())
        if draw is not None:
            return draw(Path(source))
    return read_pixels(source)


def _is_eight_bit(values: np.ndarray) -> bool:
    """Whether values in 0..1 are all multiples of 1/255."""
    import numpy as np

    scaled = values * np.float32(255)
    return bool((np.abs(scaled - np.rint(scaled)) < 1e-3).all())


def _to_bytes(values: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.rint(values * np.float32(255)).astype(np.uint8)


def _from_bytes(values: np.ndarray) -> np.ndarray:
    import numpy as np

    return values.astype(np.float32) / np.float32(255)


def _refuse_empty(values: np.ndarray, contract: InputContract) -> None:
    brightest = float(values.max())
    if brightest < 1 / 255:
        raise ConditionError(f"The {contract.kind} control is all black: it would control nothing.")
    if contract.binarize is not None and not brightest > contract.binarize:
        raise ConditionError(
            f"The {contract.kind} control is empty once cut at {contract.binarize}: its brightest value is "
            f"{brightest:.2f}. Draw brighter lines, or lower the contract's threshold."
        )


def _read_raw(source: Any, contract: InputContract) -> Pixels:
    """A tensor or array with the contract's unusual number of channels, first or last, as (H, W, C)."""
    array = tensor_to_numpy(source) if is_tensor(source) else source
    shape = getattr(array, "shape", None)
    if shape is None or len(shape) != 3 or contract.channels not in (shape[0], shape[-1]):
        raise ConditionError(
            f"This adapter takes {contract.channels} channels, which no picture file has; "
            f"give a tensor of shape ({contract.channels}, height, width), not {shape or type(source).__name__}."
        )
    values, notes = array_values(array)
    return Pixels(values.transpose(1, 2, 0) if shape[0] == contract.channels else values, notes)


def _white_on_black(values: np.ndarray, contract: InputContract, notes: list[str], allow_empty: bool) -> np.ndarray:
    """Lines as (H, W, 1), light on dark; a drawing on paper is cleaned and turned round."""
    found, values, more = read_lines(values)
    notes.extend(more)
    if found == "blank" and not allow_empty:
        tone = "all black" if float(values.max()) < 0.5 else "blank"
        raise ConditionError(f"The {contract.kind} control is {tone}: it holds no line. Give white lines on black.")
    if found == "picture":
        notes.append(
            f"This looks like a picture, not like lines; for {contract.kind} lines extract them first "
            f"(armature extract {contract.kind})."
        )
    if not _is_grey(values):
        notes.append(_REDUCED)
    # The brightest channel: a blue line is a line, and luma would make it nearly black.
    return values.max(axis=-1, keepdims=True)


def _channels(values: np.ndarray, contract: InputContract, notes: list[str]) -> np.ndarray:
    """As many channels as the contract has."""
    import numpy as np

    have = values.shape[-1]
    if contract.order == "raw":
        return values
    if content_of(contract) == "label" and contract.channels == 3 and _is_grey(values):
        notes.append(f"The {contract.kind} control is grey; its adapter knows things by their colours.")
    if have == contract.channels:
        return values
    if contract.channels == 1:
        if not _is_grey(values):
            notes.append(_REDUCED)
        luma = np.array([0.299, 0.587, 0.114], np.float32)
        return (values @ luma)[..., None].astype(np.float32)
    return np.repeat(values, contract.channels, axis=-1)


def _is_grey(values: np.ndarray) -> bool:
    return float((values.max(axis=-1) - values.min(axis=-1)).max()) < 2 / 255


def _binary(values: np.ndarray, threshold: float, notes: list[str]) -> np.ndarray:
    """Values above the threshold as 1, the rest 0; a note when grey was lost."""
    import numpy as np

    binary = (values > threshold).astype(np.float32)
    if float(np.abs(binary - values).max()) > 2 / 255:
        notes.append(f"Grey levels were cut at {threshold} to black and white.")
    return binary


def _check_palette(values: np.ndarray, palette: str, notes: list[str]) -> None:
    import numpy as np

    from armature.conditions.palettes import palette_colours

    colours = palette_colours(palette)
    if colours is None:
        return
    step = max(1, min(values.shape[:2]) // 64)
    sample = values[::step, ::step].reshape(-1, 3)
    distance = np.abs(sample[:, None] - colours[None].astype(np.float32) / 255).max(axis=-1).min(axis=-1)
    strange = float((distance > _NEAR_COLOUR).mean())
    if strange > 0.2:
        notes.append(
            f"{strange:.0%} of the map has colours that are not in the {palette} palette; "
            "its adapter will misread them."
        )
