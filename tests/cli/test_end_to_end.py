"""The whole against a mock server: real HTTP, sandbox and journal; real processes where streams or signals matter.

Most commands run in this process, because each process of its own spends seconds on importing what talks to models.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from command_bench import InProcess, Program, Result, Terminal

from support.mock_server import HANG, Answer, MockServer, Request, failing, running_server

Script = Callable[[Request], str | Answer]


def code(text: str) -> str:
    return f"```python\n{text}\n```"


COUNT = code("print('looking')\nanswer(len(context.splitlines()))")


class Bench:
    """The command line with a server that it asks."""

    def __init__(self, habit: InProcess, server: MockServer) -> None:
        self.habit = habit
        self.server = server
        self.model = ["--model", "mock", "--base-url", server.url]

    def ask(self, *arguments: str, **details: Any) -> Result:
        return self.habit("ask", *arguments, *self.model, **details)


@pytest.fixture
def serving(habit: InProcess) -> Iterator[Callable[..., Bench]]:
    """Starts a server that says what the script says."""
    with ExitStack() as stack:
        yield lambda *script: Bench(
            habit, stack.enter_context(running_server(script[0] if callable(script[0]) else script))
        )


@pytest.fixture
def lines(own_place: Path) -> Path:
    path = own_place / "lines.txt"
    path.write_text("one\ntwo\nthree\n")
    return path


def test_a_question_from_end_to_end(serving: Callable[..., Bench], program: Program, lines: Path) -> None:
    bench = serving(COUNT)
    result = program("ask", "How many lines?", "lines.txt", "--returns", "int", *bench.model)
    assert (result.code, result.raw_out) == (0, b"3\n")
    said = result.err.splitlines()
    assert said[0].startswith("Run 2")
    assert said[-1].startswith("answered: 1 cell, 1 call, 15 tokens")


def test_the_json_has_every_field_of_the_contract(serving: Callable[..., Bench], lines: Path) -> None:
    bench = serving(code("answer(recursive_llm('Say yes', context[:3]))"), "yes")
    run = bench.ask("Is it?", "lines.txt", "--json").json
    assert set(run) >= {
        "run",
        "answer",
        "status",
        "strategy",
        "habit",
        "usage",
        "peak_prompt_tokens",
        "cells",
        "depth",
        "seconds",
        "error",
    }
    assert (run["answer"], run["status"], run["strategy"], run["habit"]) == ("yes", "answered", "rlm", None)
    assert (run["cells"], run["depth"], run["error"], run["peak_prompt_tokens"]) == (1, 0, None, 10)
    assert run["usage"] == {
        "calls": 2,
        "cached_calls": 0,
        "failed_calls": 0,
        "root": {"calls": 1, "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 0},
        "leaf": {"calls": 1, "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 0},
        "usd": None,
        "cache_read_tokens": 0,
        "speculated_calls": 0,
        "wasted_calls": 0,
    }
    listed = bench.habit("runs", "--json").json
    assert [(entry["run"], entry["status"]) for entry in listed] == [(run["run"], "answered")]
    shown = bench.habit("show", run["run"][:-2], "--json").json
    assert shown["answer"] == "yes"
    assert [call["role"] for call in shown["call_records"]] == ["root", "leaf"]
    assert "answer(recursive_llm" in bench.habit("show", "last").out


def test_cells_run_in_monty_where_that_is_asked_for(serving: Callable[..., Bench], lines: Path) -> None:
    pytest.importorskip("pydantic_monty", reason="pip install 'habit[monty]'")
    bench = serving(code("def lines():\n    yield 1"), COUNT)
    result = bench.ask("How many lines?", "lines.txt", "--returns", "int", "--sandbox", "monty")
    assert (result.code, result.raw_out) == (0, b"3\n"), result.err
    assert "generators are not supported in this sandbox" in str(bench.server.requests[-1].body)
    replayed = bench.habit("replay", "last")
    assert replayed.code == 0, replayed.err


def test_verbose_shows_the_cell(serving: Callable[..., Bench], lines: Path) -> None:
    result = serving(COUNT).ask("?", "lines.txt", "-v")
    assert result.raw_out == b"3\n"
    assert "answer(len(context.splitlines()))\n" in result.err
    assert "looking\n" in result.err


def test_standard_input_is_the_context(serving: Callable[..., Bench]) -> None:
    bench = serving(*[code("answer(repr(context))")] * 2)
    assert bench.ask("?", stdin=b"a\r\nb").raw_out == b"'a\\r\\nb'\n"
    assert bench.ask("?", "-", stdin=b"c").raw_out == b"'c'\n"


def test_nothing_on_standard_input_is_a_warning(serving: Callable[..., Bench]) -> None:
    result = serving(code("answer(repr(context))")).ask("?")
    assert (result.code, result.raw_out) == (0, b"''\n")
    assert "Warning: standard input is empty" in result.err


def test_leaves_can_have_another_model(serving: Callable[..., Bench]) -> None:
    bench = serving(code("answer(recursive_llm('?', 'x'))"), "yes")
    assert bench.ask("?", "--leaf-model", "small").code == 0
    assert [request.body["model"] for request in bench.server.requests] == ["mock", "small"]


def test_bad_files_are_refused_or_skipped(serving: Callable[..., Bench], lines: Path) -> None:
    (lines.parent / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    bench = serving(code("answer(sorted(context))"))
    result = bench.ask("?", "lines.txt", "image.png", "--json")
    assert (result.code, result.raw_out, len(result.err.splitlines())) == (2, b"", 1)
    assert "image.png" in result.err
    assert bench.server.requests == []
    result = bench.ask("?", "lines.txt", "image.png", "--skip-bad", "--returns", "list[str]")
    assert (result.code, result.json) == (0, ["lines.txt"])
    assert "image.png" in result.err


def test_bad_input_starts_nothing(serving: Callable[..., Bench], own_place: Path) -> None:
    bench = serving(COUNT)
    for arguments, said in (
        (["?", "lins.txt"], "lins.txt"),
        (["", "."], "question is empty"),
        (["?", "--max-usd", "1"], "price"),
        (["?", "--returns", "nonsense.json"], "nonsense.json"),
        (["?", "--journal", "/proc/none/j.db"], "/proc/none"),
    ):
        result = bench.ask(*arguments, "--json")
        assert (result.raw_out, len(result.err.splitlines())) == (b"", 1), arguments
        assert result.code == (1 if "--journal" in arguments else 2), arguments
        assert said in result.err
    assert bench.server.requests == []
    assert list(own_place.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "said"), [("opnai:gpt-5-mini", "openai"), ("openai:gpt-5-mini", "OPENAI_API_KEY"), ("x.gguf", "x.gguf")]
)
def test_a_model_that_cannot_be_had_is_a_usage_error(habit: InProcess, model: str, said: str) -> None:
    result = habit("ask", "?", "--model", model, "--json")
    assert (result.code, result.raw_out, len(result.err.splitlines())) == (2, b"", 1)
    assert said in result.err


def test_a_budget_of_calls_stops_with_status_3(serving: Callable[..., Bench], lines: Path) -> None:
    def script(request: Request) -> str:
        return "2" if "```" not in request.prompt[-400:] and request.index >= 2 else code("print(1)")

    result = serving(script).ask("?", "lines.txt", "--max-calls", "3", "--json")
    assert result.code == 3
    assert (result.json["status"], result.json["stopped_by"]) == ("budget", "calls")
    assert result.json["usage"]["calls"] <= 3
    assert result.err.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(("flag", "value"), [("--max-tokens", "20"), ("--max-seconds", "0.5")])
def test_other_budgets_stop_with_status_3(serving: Callable[..., Bench], flag: str, value: str) -> None:
    result = serving(lambda request: HANG if flag == "--max-seconds" else code("print(1)")).ask(
        "?", flag, value, "--json"
    )
    assert (result.code, result.json["status"]) == (3, "budget")
    assert result.json["stopped_by"] == flag.removeprefix("--max-")


def test_a_limit_of_cells_salvages(serving: Callable[..., Bench]) -> None:
    bench = serving(lambda request: code("print(1)") if request.index < 2 else "about 7")
    result = bench.ask("?", "--max-cells", "2")
    assert (result.code, result.raw_out) == (0, b"about 7\n")
    assert "Warning: A limit was met" in result.err


def test_cell_limits_reach_the_sandbox(serving: Callable[..., Bench]) -> None:
    slow = code("while True: pass")
    huge = code("x = bytearray(900 << 20)")
    bench = serving(slow, huge, code("answer('survived')"))
    result = bench.ask("?", "--cell-seconds", "0.5", "--cell-memory", "300M", "-v")
    assert (result.code, result.raw_out) == (0, b"survived\n")
    assert "── timeout" in result.err
    assert "MemoryError" in result.err


def test_a_provider_that_refuses_is_a_failed_run(serving: Callable[..., Bench]) -> None:
    result = serving(failing(401, "who are you")).ask("?", "--json")
    assert (result.code, result.json["status"]) == (1, "failed")
    assert "who are you" in result.json["error"]
    assert result.err.splitlines()[-1] == f"Error: {result.json['error']}"


def test_replies_are_reused_unless_told_not_to(serving: Callable[..., Bench]) -> None:
    bench = serving(lambda request: COUNT)
    first = bench.ask("?", "--json", stdin=b"x").json
    second = bench.ask("?", "--json", stdin=b"x").json
    third = bench.ask("?", "--json", "--no-cache", stdin=b"x").json
    assert [run["usage"]["cached_calls"] for run in (first, second, third)] == [0, 1, 0]
    assert [run["answer"] for run in (first, second, third)] == ["1"] * 3


def test_without_a_journal_nothing_is_left(serving: Callable[..., Bench], own_place: Path) -> None:
    bench = serving(COUNT)
    assert bench.ask("?", "--no-journal", stdin=b"x").code == 0
    assert list(own_place.iterdir()) == []


def test_the_journal_can_be_elsewhere(serving: Callable[..., Bench], own_place: Path) -> None:
    bench = serving(COUNT)
    assert bench.ask("?", "--journal", "deep/er/j.db", stdin=b"x").code == 0
    assert [path.name for path in own_place.iterdir()] == ["deep"]
    assert len(bench.habit("runs", "--journal", "deep/er/j.db", "--json").json) == 1


def test_settings_can_be_in_a_file_and_in_variables(serving: Callable[..., Bench], own_place: Path) -> None:
    bench = serving(lambda request: COUNT)
    (own_place / "habit.toml").write_text(f'model = "from-file"\nbase_url = "{bench.server.url}"\njournal = "j.db"\n')
    assert bench.habit("ask", "?", stdin=b"x").raw_out == b"1\n"
    assert bench.habit("ask", "?", stdin=b"x", HABIT_MODEL="from-variable").code == 0
    assert bench.habit("ask", "?", "--model", "from-flag", stdin=b"x", HABIT_MODEL="from-variable").code == 0
    assert [request.body["model"] for request in bench.server.requests] == ["from-file", "from-variable", "from-flag"]
    assert (own_place / "j.db").exists()


def test_a_context_deeper_than_allowed(serving: Callable[..., Bench]) -> None:
    bench = serving(code("answer(recursive_llm('?', 'word ' * 200_000))"), code("answer('no')"))
    result = bench.ask("?", "--max-depth", "0", "--window", "8000", "-v")
    assert (result.code, result.raw_out) == (0, b"no\n")
    assert "too_long" in result.err or "does not fit" in result.err


# -- resume and replay --


def test_replay_says_whether_the_answer_is_the_same(serving: Callable[..., Bench]) -> None:
    bench = serving(code("answer(recursive_llm('?', context))"), "yes")
    run = bench.ask("?", "--json", stdin=b"x").json
    sent = len(bench.server.requests)
    replay = bench.habit("replay", "last", "--json")
    assert (replay.code, replay.json["run"], replay.json["same"]) == (0, run["run"], True)
    assert replay.json["usage"]["calls"] == 0
    assert bench.habit("replay", run["run"]).raw_out == b"yes\n"
    assert len(bench.server.requests) == sent


def test_replay_of_an_input_that_changed_is_refused(serving: Callable[..., Bench], lines: Path) -> None:
    bench = serving(COUNT)
    assert bench.ask("?", "lines.txt").code == 0
    lines.write_text("other\n")
    result = bench.habit("replay", "last", "--json")
    assert (result.code, result.raw_out, len(result.err.splitlines())) == (2, b"", 1)
    assert "lines.txt has changed" in result.err


def test_ctrl_c_at_a_terminal_then_resume(serving: Callable[..., Bench], program: Program, lines: Path) -> None:
    reading, writing = os.pipe()
    hanging = True

    def script(request: Request) -> str | Answer:
        if request.index == 0:
            return code("answer(recursive_llm('first', 'a') + recursive_llm('second', 'b'))")
        if hanging and "second" in request.prompt:
            os.write(writing, b".")
            return HANG
        return "1" if "first" in request.prompt else "2"

    bench = serving(script)
    with closing(os.fdopen(reading)), closing(os.fdopen(writing)):
        terminal = Terminal()  # whose Ctrl-C reaches the sandbox's processes, too
        process = terminal.start(program, "ask", "?", "lines.txt", "--json", *bench.model, stdout=subprocess.PIPE)
        os.read(reading, 1)
        terminal.type(b"\x03")
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, b"")
        last = terminal.read_all().decode().splitlines()[-1]
        run_id = last.rpartition(" ")[2]
        assert last == f"Interrupted; continue with: habit resume {run_id}"
        (listed,) = bench.habit("runs", "--json").json
        assert (listed["run"], listed["status"]) == (run_id, "interrupted")
        hanging = False
        sent = len(bench.server.requests)
        resumed = bench.habit("resume", run_id, "--json")
        assert (resumed.code, resumed.json["answer"], resumed.json["status"]) == (0, "12", "answered")
        assert len(bench.server.requests) == sent + 1
        assert bench.habit("resume", "last").raw_out == b"12\n"
        assert len(bench.server.requests) == sent + 1


def test_a_run_stopped_by_a_budget_goes_on_with_a_larger_one(serving: Callable[..., Bench]) -> None:
    def script(request: Request) -> str | Answer:
        return code("print(recursive_llm('?', 'a')); answer(recursive_llm('?', 'b'))") if request.index == 0 else "7"

    bench = serving(script)
    assert bench.ask("?", "--max-calls", "2", stdin=b"x").code == 3
    resumed = bench.habit("resume", "last", "--max-calls", "10", "--json")
    assert (resumed.code, resumed.json["answer"], resumed.json["notes"]) == (0, "7", [])  # it went no other way


def test_on_a_terminal_stdout_is_still_only_the_answer(serving: Callable[..., Bench], program: Program) -> None:
    bench = serving(COUNT)
    terminal = Terminal()
    process = terminal.start(program, "ask", "?", *bench.model, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=60)
    shown = terminal.read_all().decode()
    assert (process.returncode, out) == (0, b"0\n")
    assert "There is no input" in shown
    assert "answered: 1 cell, 1 call" in shown


def test_many_processes_share_a_journal(serving: Callable[..., Bench], program: Program) -> None:
    bench = serving(lambda request: COUNT)
    asks = [program.start("ask", f"question {number}", *bench.model, "--json") for number in range(2)]
    runs = {json.loads(process.communicate(timeout=120)[0])["run"] for process in asks}
    assert {run["run"] for run in bench.habit("runs", "--json").json} == runs
    assert len(runs) == 2


def test_a_run_is_continued_with_its_variables(serving: Callable[..., Bench], lines: Path) -> None:
    bench = serving(code("rows = context.split()\nanswer(len(rows))"), code("answer(rows[0])"))
    assert bench.ask("How many lines?", "lines.txt").out == "3\n"
    result = bench.ask("and which is the first?", "--continue", "last")
    assert (result.code, result.out) == (0, "one\n")
    assert len(bench.server.requests) == 2
    shown = bench.habit("show", "last", "--json")
    assert json.loads(shown.out)["settings"]["continues"]
    assert bench.habit("replay", "last").out == "one\n"


def test_a_continued_run_brings_its_own_input(serving: Callable[..., Bench], lines: Path) -> None:
    bench = serving(COUNT)
    result = bench.ask("and?", "lines.txt", "--continue", "last")
    assert result.code == 2
    assert "either PATHs or --continue" in result.err
    assert bench.ask("and?", "--continue", "last").code == 2  # there is no journal yet
    assert not bench.server.requests
