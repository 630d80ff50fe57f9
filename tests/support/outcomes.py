"""Outcomes of a bench that were never asked."""

from __future__ import annotations

from habit.bench.outcome import Outcome


def an_outcome(**details: object) -> Outcome:
    """An outcome of a right answer, but for what ``details`` say."""
    usual: dict[str, object] = {
        **dict.fromkeys(("key", "question_key", "kind", "family", "form", "question", "run"), "x"),
        **dict.fromkeys(("root_calls", "leaf_calls", "root_tokens", "leaf_tokens", "extra_tokens", "seed"), 0),
        **dict.fromkeys(("peak_prompt_tokens", "reentered_tokens", "bookkeeping_tokens", "wasted_calls"), 0),
        **dict.fromkeys(("noise", "latency", "critical_path_seconds", "seconds", "extra_seconds", "usd"), 0.0),
        **dict.fromkeys(("why", "answered_by"), ""),
        "size": 10_000,
        "number": None,
        "part": "grid",
        "strategy": "rlm",
        "model": "m",
        "oracle": False,
        "truth": 1,
        "answer": 1,
        "right": True,
        "score": 1.0,
        "status": "answered",
        "error": None,
    }
    return Outcome(**{**usual, **details})  # type: ignore[arg-type]
