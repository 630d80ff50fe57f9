"""``habit bench`` as people run it: killed, stopped, gone on with, and told about."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest
from command_bench import InProcess, Program, Result

from habit.bench.oracle import OracleModel
from habit.bench.outcome import FILE, read_outcomes
from habit.cli.bench_line import BenchLine
from habit.journal.peek import peek

SMALL = ("bench", "--oracle", "--mutants", "0", "--sizes", "10kB", "--strategies", "rlm,habit", "--seeds", "2")
FAMILIES = ("--families", "sum-by-user,log-count")


def runs_in(folder: Path) -> set[str]:
    with closing(peek(folder / "journal.db", busy_seconds=5)) as db:
        return {str(row[0]) for row in db.execute("SELECT id FROM runs")}


def test_a_bench_that_is_killed_goes_on_where_it_was(program: Program, own_place: Path) -> None:
    command = [*SMALL, *FAMILIES, "--out", "there", "-v"]
    started = program.start(*command)
    assert started.stderr is not None
    for _ in range(3):
        assert b"oracle: " in started.stderr.readline()
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    before = read_outcomes(own_place / "there")
    assert 3 <= len(before) < 12
    with (own_place / "there" / FILE).open("ab") as file:
        file.write(b'{"key": "torn')

    done = program(*command)
    assert (done.code, done.out) == (0, done.out)
    assert done.out.startswith("8 of 8 questions asked, $")
    outcomes = read_outcomes(own_place / "there")
    assert outcomes[: len(before)] == before
    assert len({one.key for one in outcomes}) == len(outcomes) == 12  # and two seeds of two families to learn from
    assert all(one.right and one.oracle for one in outcomes)
    written = {one.run for one in outcomes}
    assert len(written) == 12
    assert len(runs_in(own_place / "there") - written) <= 1  # the question that was under way

    again = program(*command, "--json")
    assert json.loads(again.out) | {"usd": 0} == {
        "folder": "there",
        "done": 8,
        "total": 8,
        "left_out": 0,
        "usd": 0,
        "stopped": "",
    }
    assert len(runs_in(own_place / "there")) == len(runs_in(own_place / "there") | written)

    told = program("bench", "report", "there")
    assert told.code == 0
    assert told.out.startswith("# What was measured")
    assert f"habit {' '.join(command)}\n" in told.out
    assert "| 10 kB | habit | 4 | 100 % | 51–100 | 1.00 | 0 |" in told.out
    assert told.err == ""


def test_ctrl_c_stops_it_and_says_how_to_go_on(program: Program, own_place: Path) -> None:
    started = program.start(*SMALL, *FAMILIES, "-v", "--out", "a place")
    assert started.stderr is not None
    assert b"oracle: " in started.stderr.readline()
    os.kill(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (130, b"")
    assert b"Go on with the same command: habit bench --oracle" in err
    assert b"--out 'a place'" in err
    outcomes = read_outcomes(own_place / "a place")
    assert 1 <= len(outcomes) < 12
    assert len(runs_in(own_place / "a place") - {one.run for one in outcomes}) <= 1


def test_money_that_is_used_up_stops_it(habit: InProcess, own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OracleModel, "price", lambda self, told, said: (told + said) * 1e-6)
    done = habit(*SMALL, *FAMILIES, "--max-usd", "0.01", "--json")
    assert done.code == 3
    assert 0 < done.json["usd"] <= 0.01
    assert 0 < done.json["done"] < done.json["total"] == done.json["done"] + done.json["left_out"]
    assert "questions were left out: the next question may cost more than what is left of $0.01." in done.err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--families", "nothing"], "'nothing' is none of"),
        (["--kinds", "needle", "--families", "sum-by-user"], "No family is of these names and kinds"),
        (["--sizes", "10 parsecs"], "is not a size such as 10kB"),
        (["--sizes", "0kB"], "is not a size such as 10kB"),
        (["--noise", "1.5"], "is not a share"),
        (["--strategies", "magic"], "'magic' is none of direct, agent, rlm, habit"),
        (["--model", "x:y"], "either --model or --oracle"),
        (["--max-usd", "0"], "--max-usd must be greater than 0"),
        (["nothing"], "There is no command 'nothing'"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_asked(
    habit: InProcess, own_place: Path, given: list[str], told: str
) -> None:
    result: Result = habit("bench", "--oracle", *given)
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert not (own_place / "bench").exists()


def test_noise_is_of_the_script_alone(habit: InProcess) -> None:
    assert "use them with --oracle" in habit("bench", "--noise", "0.1", "--model", "x:y").err


def test_no_model_is_said_as_elsewhere(habit: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("habit.models.find", lambda: None)
    result = habit("bench")
    assert (result.code, result.err.startswith("Error: No model is configured.")) == (2, True)


def test_a_report_about_nothing_says_what_to_do(habit: InProcess, own_place: Path) -> None:
    result = habit("bench", "report", "nowhere")
    assert (result.code, result.err) == (
        2,
        "Error: There are no outcomes in nowhere: fill it with habit bench --out DIR.\n",
    )


def test_a_report_counts_at_the_prices_of_a_model(habit: InProcess, own_place: Path) -> None:
    some = ("--families", "sum-by-user", "--strategies", "rlm", "--seeds", "1", "--sizes", "10kB", "--out", "there")
    assert habit("bench", "--oracle", *some).code == 0
    told = habit("bench", "report", "there", "--prices", "openai:gpt-5-mini")
    assert (told.code, "US$ as for openai:gpt-5-mini" in told.out) == (0, True)
    assert "US$ as for" not in habit("bench", "report", "there").out
    wrong = habit("bench", "report", "there", "--prices", "nobody:knows")
    assert (wrong.code, wrong.out) == (2, "")
    assert "No price is known for nobody:knows" in wrong.err


def test_lists_are_completed_at_their_last_word(habit: InProcess) -> None:
    from test_completion import values

    assert values("bench", "--strategies", "direct,r") == ["direct,rlm"]
    assert "needle" in values("bench", "--kinds", "")
    assert values("bench", "--families", "log-count,sum") == ["log-count,sum-by-user"]
    assert "report" in values("bench", "")


def test_the_line_tells_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    from habit.bench.runner import Progress
    from support.outcomes import an_outcome

    seconds: list[float] = [0.0]
    line = BenchLine(oracle=True, verbose=True, clock=lambda: seconds[0])
    line.tell(Progress(2, 10))
    line.tell(Progress(3, 10, outcome=an_outcome(family="sum", usd=0.5, run="R1")))
    line.tell(Progress(4, 10, outcome=an_outcome(right=False, usd=0.5, status="failed")))
    seconds[0] = 180.0
    assert line.line() == "oracle: 4/10, 50 % right, $1.0000, 3 min"
    line.tell(Progress(5, 10, outcome=an_outcome(usd=None)))
    assert "price unknown" in line.line()
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "Going on: 2 of 10 questions are answered already."
    assert told[1] == "oracle: sum 10 kB rlm: right, 0 tokens, 0.0 s (run R1)"
    line.tick()
    line.tick()
    assert len(capsys.readouterr().err.splitlines()) == 1
