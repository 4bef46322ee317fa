"""Lengths of training with their units: "20000 steps", "3 epochs", "45 minutes"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

Unit = Literal["steps", "epochs", "minutes"]

# Steps are counted with 64 bits, and far fewer are ever made.
_LONGEST = 1e15
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


@dataclass(frozen=True)
class Duration:
    """An amount and its unit. Steps are optimizer steps; epochs pass over the data; minutes are of training alone."""

    amount: float
    unit: Unit

    @classmethod
    def parse(cls, value: Any) -> Duration:
        """From "500 steps", "1 epoch", "0.5 minutes"; ValueError for anything else, a bare number included."""
        if isinstance(value, Duration):
            return value
        match = _TEXT.fullmatch(value) if isinstance(value, str) else None
        unit = next((u for u in get_args(Unit) if match and match[2] in (u, u.removesuffix("s"))), None)
        if match is None or unit is None:
            raise ValueError(f"{value!r} is no length; write a number with its unit, as in '500 steps' or '3 epochs'")
        amount = float(match[1])
        if not 0 < amount <= _LONGEST or (unit == "steps" and amount != int(amount)):
            raise ValueError(f"{value!r} is no length; expected a positive number up to {_LONGEST:g}, and whole steps")
        return cls(amount, unit)

    def steps(self, per_epoch: int | None) -> int | None:
        """How many optimizer steps that is, at least 1; None for minutes.

        per_epoch: steps in one epoch. ValueError when epochs are asked of a stream that has none.
        """
        if self.unit == "minutes":
            return None
        if self.unit == "steps":
            return int(self.amount)
        if per_epoch is None:
            raise ValueError(f"'{self}' cannot be counted: this data has no epochs; give steps or minutes")
        return max(1, round(self.amount * per_epoch))

    def __str__(self) -> str:
        amount = int(self.amount) if self.amount == int(self.amount) else self.amount
        return f"{amount} {self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )
