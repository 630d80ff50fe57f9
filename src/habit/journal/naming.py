"""Run ids: how they are made, how one is found from what a person typed, and what a claimed one says."""

from __future__ import annotations

import difflib
import re
import secrets
import time
from collections.abc import Callable, Sequence

from habit.errors import UsageError

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # in ASCII order, so that ids sort; no i, l, o, u to misread
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_NAMED_AT_MOST = 5


def new_run_id(now: float) -> str:
    """An id such as ``20261122-165501-x7k2q9hf`` for a run that starts at ``now`` (Unix seconds).

    The time is UTC; the first two letters count milliseconds (1/1024 s), so ids sort by time also within a second.
    The other six are random, so that processes need not ask each other.
    """
    whole, part = divmod(int(now * 1024), 1024)
    slot = _ALPHABET[part // 32] + _ALPHABET[part % 32]
    chance = "".join(secrets.choice(_ALPHABET) for _ in range(6))
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime(whole)) + f"-{slot}{chance}"


def is_safe_in_a_path(run_id: str) -> bool:
    """Whether ``run_id`` can name a file: no separators, no leading dot, at most 100 characters."""
    return _SAFE.match(run_id) is not None


def choose_run(ref: str, ids: Sequence[str], last: Callable[[], str | None] = lambda: None) -> str:
    """The id among ``ids`` (newest first) that ``ref`` names: itself, ``last``, or a unique prefix; or UsageError.

    ``last`` gives the newest that somebody asked; where there is none, it is the newest of all.
    """
    if ref in ids:
        return ref
    if not ids:
        raise UsageError(f"there is no run {ref!r}: the journal has no runs yet, and `habit ask` makes the first")
    if ref == "last":
        return last() or ids[0]
    found = [run_id for run_id in ids if run_id.startswith(ref)] if ref else []
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - _NAMED_AT_MOST} more" if len(found) > _NAMED_AT_MOST else ""
        names = ", ".join(found[:_NAMED_AT_MOST]) + more
        raise UsageError(f"{ref!r} is the beginning of {len(found)} runs, so type more of one: {names}")
    near = difflib.get_close_matches(ref, ids[:1000], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`habit runs` lists them"
    raise UsageError(f"there is no run {ref!r}: {hint}")


def already_claimed(run_id: str) -> UsageError:
    """The error for a run that somebody else works on."""
    return UsageError(f"run {run_id} is being worked on by another process: wait for it to end, or stop it first")
