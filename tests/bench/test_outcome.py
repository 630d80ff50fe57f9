"""Lines of outcomes: whole, cut off, of somebody else, and of two benches at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from habit.bench.outcome import FILE, Outcome, OutcomeLog, digest_of, read_outcomes
from habit.bench.report.columns import who_of
from habit.errors import UsageError
from support.outcomes import an_outcome


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    odd = an_outcome(key="a", answer=["\ud800 ü\n", {"b": None}], usd=None, settings={"max_cells": 3})
    with OutcomeLog(tmp_path / "new") as log:
        log.add(odd)
        log.add(an_outcome(key="b"))
    assert read_outcomes(tmp_path / "new") == [odd, an_outcome(key="b")]


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_line_that_was_cut_off_is_asked_again(tmp_path: Path, kept: int) -> None:
    with OutcomeLog(tmp_path) as log:
        log.add(an_outcome(key="a"))
        log.add(an_outcome(key="b"))
    first, second, _ = (tmp_path / FILE).read_bytes().split(b"\n")
    (tmp_path / FILE).write_bytes(first + b"\n" + second[:kept])
    assert [one.key for one in read_outcomes(tmp_path)] == ["a"]
    with OutcomeLog(tmp_path) as log:
        assert set(log.outcomes) == {"a"}
        log.add(an_outcome(key="c"))
    assert [one.key for one in read_outcomes(tmp_path)] == ["a", "c"]


@pytest.mark.parametrize("line", ["[]", "{", '{"schema": 1}', '{"schema": 9}', "null"])
def test_a_line_of_something_else_is_named(tmp_path: Path, line: str) -> None:
    good = json.dumps(an_outcome().to_json())
    (tmp_path / FILE).write_text(f"{good}\n{line}\n")
    with pytest.raises(UsageError, match=r"Line 2 of .*outcomes\.jsonl is no outcome"), OutcomeLog(tmp_path):
        pass
    (tmp_path / FILE).write_text(f"{good}\n")
    with OutcomeLog(tmp_path):  # the folder was let go
        pass


def test_a_field_of_a_later_version_is_left_out(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({**an_outcome().to_json(), "mood": "good"}) + "\n")
    assert read_outcomes(tmp_path) == [an_outcome()]


def test_outcomes_of_an_earlier_version_are_read_but_not_added_to(tmp_path: Path) -> None:
    before = {**an_outcome(settings={"max_cells": 3}, usd=0.5).to_json(), "schema": 1}
    for name in ("bench", "root_output_tokens", "leaf_output_tokens", "extra_output_tokens"):
        del before[name]
    (tmp_path / FILE).write_text(json.dumps(before) + "\n")
    (one,) = read_outcomes(tmp_path)
    assert (one.settings, one.bench, one.schema) == ({"max_cells": 3}, {}, 1)
    assert (one.output_tokens, who_of(one)) == (None, "m, max_cells 3")
    assert one.usd == 0.5
    assert Outcome.from_json({**before, "oracle": True}).usd == 0.0  # a script's price was made up
    with pytest.raises(UsageError, match=r"do not hold all settings: habit bench report tells"), OutcomeLog(tmp_path):
        pass


def test_a_folder_has_one_bench_at_a_time(tmp_path: Path) -> None:
    with OutcomeLog(tmp_path), pytest.raises(UsageError, match="Another bench is running"), OutcomeLog(tmp_path):
        pass


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="can't be used"), OutcomeLog(tmp_path / "taken"):
        pass


def test_a_digest_says_what_it_is_of() -> None:
    assert digest_of("a", 1, {"x": 1, "y": 2}) == digest_of("a", 1, {"y": 2, "x": 1})
    assert digest_of("a", "b") != digest_of("ab")
    assert an_outcome(root_tokens=1, leaf_tokens=2, extra_tokens=4).tokens == 7
    assert replace(an_outcome(), right=False) != an_outcome()
