"""Harden and relax: a leaf call whose replies a rule reproduces becomes code, and brittle code a leaf call again."""

from habit.library.hardening.harden import Hardened, harden
from habit.library.hardening.relax import Relaxed, Signals, relax, signals_of

__all__ = ["Hardened", "Relaxed", "Signals", "harden", "relax", "signals_of"]
