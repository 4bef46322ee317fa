"""What an adapter expects of its control picture: channels, order, range, polarity, binarisation, palette."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from armature.conditions.kinds import canonical_kind, kind_in_source
from armature.errors import ConditionError

Order = Literal["L", "RGB", "BGR", "raw"]

WHITE_ON_BLACK = "white on black"
NEAR_IS_BRIGHT = "near is bright"
_CHANNELS_OF = {"L": 1, "RGB": 3, "BGR": 3}


@dataclass(frozen=True)
class InputContract:
    """The form in which an adapter was trained to see its control.

    kind: a name of `kinds.KINDS`, or "any" where nothing is known but the number of channels.
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


def _lines(kind: str, channels: int, threshold: float | None, words: str) -> InputContract:
    order: Order = "L" if channels == 1 else "RGB"
    return InputContract(kind, channels, order, (0.0, 1.0), WHITE_ON_BLACK, threshold, None, words)


# Facts: the published sd14v1 / sd15v2 / CoAdapter files; the SDXL folders state their channels in their config.
_SD: dict[str, InputContract] = {
    "sketch": _lines("sketch", 1, 0.5, "white lines on black, binarised"),
    "canny": _lines("canny", 1, 0.5, "white edges on black, binarised"),
    "lineart": _lines("lineart", 1, None, "white strokes on black"),
    "softedge": _lines("softedge", 1, None, "bright edges on black"),
    "depth": InputContract("depth", 3, "RGB", polarity=NEAR_IS_BRIGHT, description="grey depth, near is bright"),
    "seg": InputContract("seg", 3, "RGB", palette="coco-stuff", description="one palette colour per class"),
    "openpose": InputContract("openpose", 3, "RGB", description="18 joints in OpenPose's colours on black"),
    "keypose": InputContract("keypose", 3, "RGB", description="17 joints in mmpose's colours on black"),
    "color": InputContract("color", 3, "RGB", description="palette map: 64x bicubic down, nearest up"),
    "tile": InputContract("tile", 3, "RGB", description="the picture, blurred"),
    "grey": InputContract("grey", 1, "L", description="the picture's brightness"),
    "style": InputContract("style", 3, "RGB", description="a whole picture; its CLIP vision states are the input"),
}
_XL: dict[str, InputContract] = {
    "canny": _lines("canny", 3, 0.5, "white edges on black, binarised"),
    "lineart": _lines("lineart", 3, None, "white strokes on black"),
    # The SDXL openpose adapter was trained on pictures read by OpenCV and never reordered.
    "openpose": InputContract("openpose", 3, "BGR", description="18 joints in OpenPose's colours, channels blue first"),
}
_EMBEDDED_PALETTE = "toyworld"


def _is_xl(family: str | None, source: str | None) -> bool:
    if family is not None:
        return "xl" in family.lower()
    return source is not None and "sdxl" in source.lower()


def contract_for(
    kind: str | None, *, in_channels: int | None = None, family: str | None = None, source: str | None = None
) -> InputContract:
    """The contract of a kind, made exact by what is known of the file.

    kind: a kind or alias; None takes it from `source`, and failing that gives the contract "any".
    in_channels: picture channels counted from the weights (conv_in channels / stride squared); they outrank the table.
    family: a name with "xl" in it means SDXL, any other SD 1.x or 2.x; None looks into `source`.
    source: file name, hub id or `embedded:` name.
    Raises ConditionError for an unknown kind or a channel count below 1.
    Source: facts on the published files; the authors' SDXL openpose training reads pictures with OpenCV.
    """
    known = canonical_kind(kind) if kind is not None else kind_in_source(source or "")
    if known is None:
        contract = InputContract("any", 3, "RGB", description="kind unknown: taken as it is")
    else:
        table = {**_SD, **_XL} if _is_xl(family, source) else _SD
        contract = table[known]
    if source is not None and source.startswith("embedded:") and contract.palette is not None:
        contract = replace(contract, palette=_EMBEDDED_PALETTE)
    if in_channels is None or in_channels == contract.channels:
        return contract
    return _with_channels(contract, in_channels)


def _with_channels(contract: InputContract, channels: int) -> InputContract:
    if channels == 1:
        return replace(contract, channels=1, order="L")
    if channels == 3:
        return replace(contract, channels=3, order="RGB")
    return replace(contract, channels=channels, order="raw", description=f"{channels} channels: tensors only")
