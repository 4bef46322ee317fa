"""The pictures that a generation starts from, brought to its size; and the pixels that come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from armature.conditions.picture.fit import fit_note, fit_values
from armature.conditions.picture.reading import Pixels, read_pixels, to_picture
from armature.errors import ArmatureError, ConditionError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

# Up to this many times its own number of pixels a model still makes one picture instead of several side by side.
_MOST_PIXELS = 2.25
# Longer side to shorter one of a size that nobody asked for.
_LONGEST = 4.0


@dataclass(frozen=True)
class Start:
    """What image-to-image and inpainting begin with, as read.

    init: pixels of the picture. mask: pixels of the mask, white where to paint anew, or None.
    """

    init: Pixels
    mask: Pixels | None

    @classmethod
    def read(cls, init: Any, mask: Any) -> Start | None:
        """Read both; None where there is no picture to start from. Raises ConditionError as `read_pixels` does."""
        if init is None:
            if mask is not None:
                raise ConditionError("An inpaint mask is given and no picture to paint in; give it as image (--init).")
            return None
        picture = read_pixels(init)
        if mask is None:
            return cls(picture, None)
        painted = read_pixels(mask)
        # Painted masks come in any colour; what counts is how bright they are.
        values = (painted.values.max(axis=-1, keepdims=True) >= 0.5).astype("float32")
        if not values.any():
            raise ConditionError("The inpaint mask is black everywhere; paint white where the picture is to change.")
        notes = [*painted.notes]
        shape = (picture.values.shape[0], picture.values.shape[1])
        if note := fit_note((values.shape[0], values.shape[1]), shape, "stretch"):
            notes.append(note)
            values = fit_values(values, shape, "stretch", content="label")
        return cls(picture, Pixels(values, tuple(notes)))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture as read."""
        return self.init.values.shape[1], self.init.values.shape[0]

    def fitted(self, size: tuple[int, int]) -> FittedStart:
        """Both at (width, height): scaled to cover and cut at the edges."""
        shape = (size[1], size[0])
        picture = to_picture(fit_values(self.init.values, shape, "resize")).convert("RGB")
        mask = None
        if self.mask is not None:
            mask = to_picture(fit_values(self.mask.values, shape, "resize", content="label"))
        notes = [f"init: {note}" for note in self.init.notes]
        if note := fit_note((self.size[1], self.size[0]), shape, "resize"):
            notes.append(f"init: {note}")
        notes += [] if self.mask is None else [f"inpaint mask: {note}" for note in self.mask.notes]
        return FittedStart(picture, mask, tuple(notes))


@dataclass(frozen=True)
class FittedStart:
    """The start at the generation's size: picture in mode "RGB", mask in mode "L" or None, notes as sentences."""

    picture: Image.Image
    mask: Image.Image | None
    notes: tuple[str, ...]


def natural_size(start: Start | None, own: tuple[int, int], stride: int) -> tuple[int, int]:
    """(width, height) when nobody asks for one.

    Without a start the model's own. With one, the picture's own size, to the stride; a picture too large for the model
    comes down to the model's own number of pixels in the picture's proportions.
    """
    if start is None:
        return own
    width, height = start.size
    room = own[0] * own[1]
    scale = 1.0 if width * height <= _MOST_PIXELS * room else (room / (width * height)) ** 0.5
    smallest = 8 * stride
    return (
        max(smallest, round(width * scale / stride) * stride),
        max(smallest, round(height * scale / stride) * stride),
    )


def size_after_control(given: tuple[int, int], own: tuple[int, int], stride: int) -> tuple[int, int]:
    """(width, height) when nobody asks for one and a control's picture has `given` pixels.

    The control's own size, to the stride; one of far more or fewer pixels than the model draws well comes to the
    model's own number of pixels. Its proportions are kept, up to 4 to 1: a strip would leave that range by its length.
    """
    width, height = given
    room = own[0] * own[1]
    pixels = width * height if room / _MOST_PIXELS <= width * height <= room * _MOST_PIXELS else room
    ratio = min(max(width / height, 1 / _LONGEST), _LONGEST)
    smallest = 8 * stride
    return (
        max(smallest, round((pixels * ratio) ** 0.5 / stride) * stride),
        max(smallest, round((pixels / ratio) ** 0.5 / stride) * stride),
    )


def size_note(kind: str, given: tuple[int, int], made: tuple[int, int], own: tuple[int, int]) -> tuple[str, ...]:
    """What to tell of a size that was taken from a control: nothing where it is the control's, or the model's own."""
    if made in (given, own):
        return ()
    return (
        f"The {kind} control is {given[0]} x {given[1]} px; the picture is {made[0]} x {made[1]} px, the nearest that "
        "this base draws well. Ask for another with size (--size).",
    )


def finished(values: np.ndarray, start: FittedStart | None) -> Image.Image:
    """The picture of a pipeline's output (height, width, 3) in 0..1; outside an inpaint mask the start's own pixels.

    Raises ArmatureError when the output is not finite: half precision overflowed.
    """
    import numpy as np
    from PIL import Image

    if not np.isfinite(values).all():
        raise ArmatureError(
            "The picture came out as not-a-number: this precision is too narrow for the model or its VAE. Use "
            "dtype='float32' (--dtype float32), or another VAE."
        )
    picture = to_picture(np.clip(values, 0.0, 1.0))
    if start is None or start.mask is None:
        return picture
    return Image.composite(picture, start.picture, start.mask)
