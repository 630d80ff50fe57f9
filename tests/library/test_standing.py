"""How versions have fared, added up from their uses."""

from __future__ import annotations

from habit.library.evidence import Outcome, Use
from habit.library.standing import standings


def use(outcome: Outcome, *, habit: str = "a", version: int = 1, reason: str = "", **figures: float) -> Use:
    tokens, usd, seconds = int(figures.get("tokens", 0)), figures.get("usd"), figures.get("seconds", 0.0)
    return Use(habit, version, "run", 1.0, outcome, reason, tokens, 0, usd, seconds)


def test_versions_are_added_up_apart_and_questions_without_habit_come_last() -> None:
    uses = [
        use("abstained", habit="", version=0, reason="no phrasing"),
        use("hit", habit="b"),
        use("hit", version=2),
        use("hit"),
        use("fallback", reason="it failed"),
    ]
    rows = standings(uses)
    assert [(row.habit, row.version, row.hits, row.fallbacks) for row in rows] == [
        ("a", 1, 1, 1),
        ("a", 2, 1, 0),
        ("b", 1, 1, 0),
        ("", 0, 0, 0),
    ]
    assert rows[-1].abstained == 1
    assert rows[-1].text().startswith("no habit   1 questions answered by the model alone")


def test_what_a_hit_takes_and_what_it_takes_afresh() -> None:
    uses = [
        *(use("hit", tokens=tokens, usd=usd, seconds=2.0) for tokens, usd in ((100, 0.1), (300, None), (200, 0.3))),
        use("agreed", tokens=5_000),
        use("disagreed", tokens=7_000, reason="2 against 3"),
    ]
    (row,) = standings(uses)
    assert (row.tokens, row.tokens_afresh, row.usd, row.seconds) == (200, 6_000, 0.2, 2.0)
    assert row.text().splitlines() == [
        "a@1   3 hits, 0 fallbacks, 0 for inputs it does not take",
        "    a hit takes 200 tokens, $0.2000, 2.0 s (median); afresh it takes 6,000 tokens",
        "    1 of 2 shadow runs agreed",
        "    2 against 3",
    ]


def test_without_a_hit_nothing_is_said_of_its_cost() -> None:
    (row,) = standings([use("violated", reason="columns: text is missing")])
    assert (row.tokens, row.usd, row.seconds, row.violated) == (None, None, None, 1)
    assert "takes 0" not in row.text()


def test_the_latest_three_different_reasons_are_kept() -> None:
    reasons = ["one", "two", "three", "two", "four"]
    (row,) = standings([use("fallback", reason=reason) for reason in reasons])
    assert row.reasons == ["four", "two", "three"]


def test_nothing_is_nothing() -> None:
    assert standings([]) == []
