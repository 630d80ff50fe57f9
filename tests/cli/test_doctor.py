"""``habit doctor``: findings with remedies, one exit status, JSON for programs, and no secret in sight."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_bench import InProcess, Program

from habit.config import Settings
from habit.doctor.findings import Finding
from support.mock_server import running_server

FINE = Finding("sandbox", "ok", "All is well.")
ODD = Finding("journal", "warning", "It is \x1b[31modd.", "Do\nthis.", {"bytes": 3})
WRONG = Finding("model", "problem", "It is wrong.", "Do that.")


@pytest.fixture
def finding(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Has the examination find what the test says; gives what it was asked with."""

    def find(*findings: Finding) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        async def examine(settings: Settings, *, on_finding: Callable[[Finding], None], **details: Any) -> Any:
            asked.update(details, settings=settings)
            for found in findings:
                on_finding(found)
            return list(findings)

        monkeypatch.setattr("habit.doctor.examine", examine)
        return asked

    return find


def test_findings_are_lines_with_their_remedies(habit: InProcess, finding: Callable[..., Any]) -> None:
    finding(FINE, ODD)
    result = habit("doctor")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "ok       sandbox        All is well.",
        "warning  journal        It is \\x1b[31modd.",
        "                        → Do this.",
    ]


def test_a_problem_is_status_1(habit: InProcess, finding: Callable[..., Any]) -> None:
    finding(WRONG, FINE)
    assert habit("doctor").code == 1


def test_as_json(habit: InProcess, finding: Callable[..., Any]) -> None:
    finding(FINE, ODD)
    result = habit("doctor", "--json")
    assert (result.code, result.json["ok"]) == (0, True)
    assert result.json["findings"][1] == {
        "check": "journal",
        "status": "warning",
        "message": "It is \x1b[31modd.",
        "remedy": "Do\nthis.",
        "details": {"bytes": 3},
    }
    finding(WRONG)
    result = habit("doctor", "--json")
    assert (result.code, result.json["ok"]) == (1, False)


def test_settings_and_flags_reach_the_examination(
    habit: InProcess, finding: Callable[..., Any], own_place: Path
) -> None:
    (own_place / "habit.toml").write_text('leaf_model = "b"\n')
    asked = finding(FINE)
    habit("doctor", "--model", "a", "--journal", "j.db")
    assert (asked["settings"].model, asked["settings"].leaf_model, asked["settings"].journal) == ("a", "b", "j.db")
    assert (asked["online"], asked["problem"]) == (None, "")
    habit("doctor", "--online")
    assert asked["online"] is True
    habit("doctor", "--offline")
    assert asked["online"] is False


def test_a_wrong_file_of_settings_is_a_finding_and_not_the_end(
    habit: InProcess, finding: Callable[..., Any], own_place: Path
) -> None:
    (own_place / "habit.toml").write_text('modl = "b"\n')
    asked = finding(FINE)
    habit("doctor", "--model", "a")
    assert asked["settings"].model == "a"
    assert "unknown key 'modl'" in asked["problem"]


def test_a_wrong_flag_is_a_usage_error(habit: InProcess, finding: Callable[..., Any]) -> None:
    finding(FINE)
    result = habit("doctor", "--profile", "huge")
    assert (result.code, len(result.err.splitlines())) == (2, 1)


def test_the_whole_of_it_as_a_program(program: Program, own_place: Path, tmp_path: Path) -> None:
    """Real sandbox, real journal place, a real server, a key that must not be seen."""
    key = "correct-horse-battery"
    with running_server(["ready"]) as server:
        result = program(
            "doctor", "--model", "m", "--base-url", server.url, "--json", HABIT_API_KEY=key, LC_ALL="C.UTF-8"
        )
    assert result.err == ""
    found = {entry["check"]: entry for entry in result.json["findings"]}
    assert list(found) == [
        "versions",
        "extras",
        "configuration",
        "terminal",
        "kernel",
        "backend",
        "sandbox",
        "key",
        "price",
        "model",
        "conversions",
        "journal",
        "disk",
    ]
    assert result.code == 0, [entry for entry in found.values() if entry["status"] == "problem"]
    assert found["sandbox"]["message"].startswith("cpython: all 14 attempts")
    assert found["key"]["message"] == "m: the key is in HABIT_API_KEY."
    assert found["model"]["message"].startswith("m answers")
    assert server.requests[0].headers["Authorization"] == f"Bearer {key}"
    assert key not in json.dumps(result.json)
    assert os.listdir(own_place) == []
