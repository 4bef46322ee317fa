"""Where a model runs, and how precisely."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from armature.errors import RecipeError

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class DeviceSpec:
    """A device and a precision."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(
        cls, device: torch.device | str | None = None, dtype: torch.dtype | str | None = None, *, embedded: bool = False
    ) -> DeviceSpec:
        """The wanted device and precision; what is left open becomes the machine's best.

        device: "cpu", "cuda", "cuda:1", "mps"... dtype: "float32", "float16", "bfloat16" or torch's own; left out,
        half precision on a GPU, and float32 on the CPU and for the embedded model, which is small.
        Raises RecipeError for what this machine does not have.
        """
        place = _device(device)
        if isinstance(dtype, str):
            if dtype not in PRECISIONS:
                raise RecipeError(f"dtype is {dtype!r}; expected {', '.join(PRECISIONS)}.")
            dtype = PRECISIONS[dtype]
        if dtype is None:
            dtype = torch.float32 if place.type == "cpu" or embedded else torch.float16
        return cls(place, dtype)

    @property
    def dtype_name(self) -> str:
        """The precision without torch's prefix."""
        return str(self.dtype).removeprefix("torch.")


def precision_argument(dtype: torch.dtype) -> dict[str, torch.dtype]:
    """The argument by which diffusers' `from_pretrained` and `from_single_file` take a precision.

    It was renamed; the old name warns from the first version on that is known here to have the new one.
    """
    import diffusers

    major, minor = (int(part) for part in diffusers.__version__.split(".")[:2])
    return {"dtype" if (major, minor) >= (0, 42) else "torch_dtype": dtype}


def _device(wanted: torch.device | str | None) -> torch.device:
    if wanted is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise RecipeError(f"device is {wanted!r}; expected cpu, cuda, cuda:1 or mps.") from error
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False) or (
        device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    ):
        raise RecipeError(f"device is {str(wanted)!r}, which this machine does not have; leave it out to choose one.")
    return device
