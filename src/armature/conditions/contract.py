"""What an adapter expects of its control picture: channels, order, range, polarity, binarisation, palette."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from armature.errors import ConditionError

Order = Literal["L", "RGB", "BGR", "raw"]

WHITE_ON_BLACK = "white on black"
NEAR_IS_BRIGHT = "near is bright"
_CHANNELS_OF = {"L": 1, "RGB": 3, "BGR": 3}


@dataclass(frozen=True)
class InputContract:
    """The form in which an adapter was trained to see its control.

    kind: the name of a kind of control, or "any" where nothing is known but the number of channels.
    channels, order: picture channels; "raw" is for counts other than 1 and 3, which only a tensor can have.
    range: lowest and highest value of the tensor.
    polarity: "white on black", "near is bright", or None where there is none.
    binarize: values above this become 1 and the rest 0; None leaves grey levels alone.
    palette: name of the label colours for seg, else None.
    Raises ConditionError when the fields contradict each other. Change one with `dataclasses.replace`.
    """

    kind: str
    channels: int
    order: Order
    range: tuple[float, float] = (0.0, 1.0)
    polarity: str | None = None
    binarize: float | None = None
    palette: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.order not in (*_CHANNELS_OF, "raw"):
            raise ConditionError(f"Contract order is {self.order!r}; expected 'L', 'RGB', 'BGR' or 'raw'.")
        if self.order in _CHANNELS_OF and self.channels != _CHANNELS_OF[self.order]:
            raise ConditionError(
                f"Contract order {self.order!r} has {_CHANNELS_OF[self.order]} channels, not {self.channels}; "
                "change both together."
            )
        if self.channels < 1:
            raise ConditionError(f"Contract has {self.channels} channels; expected at least 1.")
        if not self.range[0] < self.range[1]:
            raise ConditionError(f"Contract range is {self.range}; expected (low, high) with low below high.")
        if self.binarize is not None and not 0.0 < self.binarize < 1.0:
            raise ConditionError(f"Contract threshold is {self.binarize}; expected a number between 0 and 1, or None.")


def with_channels(contract: InputContract, channels: int) -> InputContract:
    """The contract for another number of channels; three are red first. ConditionError for less than 1."""
    if channels == contract.channels:
        return contract
    if channels == 1:
        return replace(contract, channels=1, order="L")
    if channels == 3:
        return replace(contract, channels=3, order="RGB")
    return replace(contract, channels=channels, order="raw", description=f"{channels} channels: tensors only")
