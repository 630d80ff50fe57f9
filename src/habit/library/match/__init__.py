"""Matching: does a habit answer this question about this input? Abstains unless everything speaks for it.

Only *fit* is decided here: the same question, of an input that the contract takes. Whether a habit may be *trusted*
(approved, tests green, shadows agreeing) is decided where the habits to choose from come from.
"""

from habit.library.match.matcher import Abstained, Match, Matchable, Matcher, Unfit
from habit.library.match.phrasings import Phrasings, RememberedPhrasings

__all__ = [
    "Abstained",
    "Match",
    "Matchable",
    "Matcher",
    "Phrasings",
    "RememberedPhrasings",
    "Unfit",
]
