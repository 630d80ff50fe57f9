"""How a number grows with the context: upper bounds ``fixed + per_record × records + per_byte × bytes``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from habit.library.spec import Ceiling


@dataclass(frozen=True)
class Growth:
    """An upper bound; where ``beyond`` is said, there is none of this form."""

    fixed: float = 0.0
    per_record: float = 0.0
    per_byte: float = 0.0
    beyond: str = ""
    """Why there is no such bound, as it can follow "because"."""

    def __add__(self, other: Growth) -> Growth:
        return Growth(
            self.fixed + other.fixed,
            self.per_record + other.per_record,
            self.per_byte + other.per_byte,
            self.beyond or other.beyond,
        )

    def __mul__(self, other: Growth) -> Growth:
        """Both together, as in nested loops. The product of two that grow is beyond any bound of this form."""
        if self.is_nothing or other.is_nothing:
            return NOTHING
        if self.is_fixed or other.is_fixed:
            scale, growing = (self.fixed, other) if self.is_fixed else (other.fixed, self)
            return growing.scaled(scale)
        return Growth(beyond=self.beyond or other.beyond or "it grows with the square of the context")

    def scaled(self, factor: float) -> Growth:
        """``factor`` times as much."""
        return replace(
            self, fixed=self.fixed * factor, per_record=self.per_record * factor, per_byte=self.per_byte * factor
        )

    def join(self, other: Growth) -> Growth:
        """A bound of both: whichever of the two happens."""
        return Growth(
            max(self.fixed, other.fixed),
            max(self.per_record, other.per_record),
            max(self.per_byte, other.per_byte),
            self.beyond or other.beyond,
        )

    def least(self, other: Growth) -> Growth:
        """The better bound where both hold: one that is fixed, else one by records, else one by bytes."""
        return min(self, other, key=lambda one: (bool(one.beyond), one.per_byte, one.per_record, one.fixed))

    @property
    def is_nothing(self) -> bool:
        """Whether it is zero."""
        return self == NOTHING

    @property
    def is_fixed(self) -> bool:
        """Whether it does not depend on the context."""
        return not self.per_record and not self.per_byte and not self.beyond

    def ceiling(self, most: Ceiling) -> Ceiling:
        """``most`` with these calls in place of its own."""
        calls = {
            "base_calls": int(self.fixed + 0.999999),
            "calls_per_record": round(self.per_record, 6),
            "calls_per_byte": round(self.per_byte, 9),
        }
        return most.model_copy(update=calls)

    @classmethod
    def unseen(cls, why: str) -> Self:
        """No bound, and why."""
        return cls(beyond=why)


NOTHING = Growth()
ONE = Growth(1.0)
RECORDS = Growth(0.0, 1.0)
BYTES = Growth(0.0, 0.0, 1.0)
