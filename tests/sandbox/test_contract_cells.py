"""Contract of every backend: what running a cell does."""

from __future__ import annotations

import pytest

from habit.errors import SessionDied
from habit.sandbox.session import CellResult, Session
from sandbox.conftest import Open
from sandbox.hosts import RecordingHost


async def run(session: Session, code: str, host: RecordingHost | None = None) -> CellResult:
    return await session.run_cell(code, host or RecordingHost())


async def printed(session: Session, code: str) -> str:
    result = await run(session, code)
    assert result.status == "ok", result.error
    return result.stdout


async def test_the_value_of_a_last_expression_is_shown(open_session: Open) -> None:
    session = await open_session("some text")
    assert await printed(session, "print('first')\ncontext.split()") == "first\n['some', 'text']\n"
    assert await printed(session, "None") == ""
    assert await printed(session, "x = 3; x") == "3\n"
    assert await printed(session, "x = 4") == ""


async def test_context_and_query_are_there(open_session: Open) -> None:
    session = await open_session({"a.txt": "alpha"}, query="What is alpha?")
    assert await printed(session, "print(context['a.txt'], query)") == "alpha What is alpha?\n"


async def test_variables_stay_and_reserved_names_are_restored(open_session: Open) -> None:
    session = await open_session("abc")
    await run(session, "kept = 1\ncontext = 'mine'\nrecursive_llm = None\ndel query")
    assert await printed(session, "kept, context, callable(recursive_llm), query") == (
        "(1, 'abc', True, 'How many?')\n"
    )


async def test_the_model_is_told_that_a_name_was_restored(open_session: Open) -> None:
    result = await run(await open_session("abc"), "context = context[:1]\nprint(context)")
    assert result.stdout.startswith("a\n")
    assert "`context` is reserved" in result.stdout


async def test_an_error_shows_the_lines_of_the_cell_and_keeps_what_was_set(open_session: Open) -> None:
    session = await open_session("")
    result = await run(session, "before = 1\ndef divide(x):\n    return x / 0\n\ndivide(3)\nafter = 2")
    assert result.status == "error"
    assert result.error == (
        "Traceback (most recent call last):\n"
        "  Cell 1, line 5\n"
        "    divide(3)\n"
        "  Cell 1, line 3, in divide\n"
        "    return x / 0\n"
        "ZeroDivisionError: division by zero"
    )
    assert await printed(session, "before, 'after' in globals()") == "(1, False)\n"


async def test_frames_of_libraries_are_left_out(open_session: Open) -> None:
    result = await run(await open_session(""), "import json\njson.loads('{')")
    assert "Cell 1, line 2" in result.error
    assert "decoder" not in result.error


async def test_a_function_of_an_earlier_cell_shows_its_own_line(open_session: Open) -> None:
    session = await open_session("")
    await run(session, "def pick(d):\n    return d['missing']")
    result = await run(session, "pick({})")
    assert "Cell 1, line 2, in pick\n    return d['missing']" in result.error
    assert "Cell 2, line 1\n    pick({})" in result.error


async def test_a_syntax_error_has_line_and_caret(open_session: Open) -> None:
    result = await run(await open_session(""), "x = 1\nif x = 2:\n    pass")
    assert result.status == "error"
    assert "Cell 1, line 2\n    if x = 2:\n       ^" in result.error
    assert "SyntaxError: invalid syntax" in result.error


@pytest.mark.parametrize("code", ["x = (", "'\ud800'", "x = 1\x00", "(" * 3000 + ")" * 3000, "\tx\n y"])
async def test_code_that_cannot_be_compiled_is_an_error_and_no_more(open_session: Open, code: str) -> None:
    session = await open_session("")
    result = await run(session, code)
    assert result.status == "error"
    assert result.error
    assert await printed(session, "1") == "1\n"


async def test_long_chains_of_calls_are_shortened(open_session: Open) -> None:
    result = await run(await open_session(""), "def down(n):\n    return down(n + 1)\ndown(0)")
    assert "RecursionError" in result.error
    assert len(result.error) < 1500
    assert "more lines of the same kind" in result.error


async def test_errors_with_huge_or_hostile_messages_stay_short(open_session: Open) -> None:
    session = await open_session("")
    assert len((await run(session, "raise ValueError('x' * 10**7)")).error) < 3000
    hostile = "class Odd(Exception):\n    def __str__(self):\n        raise TypeError\nraise Odd"
    assert "Odd" in (await run(session, hostile)).error


async def test_output_is_capped_with_head_and_tail(open_session: Open) -> None:
    session = await open_session("", output_chars=1000)
    result = await run(session, "for i in range(100_000): print(i)")
    assert len(result.stdout) <= 1000
    assert result.stdout.startswith("0\n1\n2\n")
    assert result.stdout.endswith("99998\n99999\n")
    assert result.stdout_dropped > 500_000
    assert f"{result.stdout_dropped:,}" in result.stdout
    everything = sum(len(str(i)) + 1 for i in range(100_000))
    marker = result.stdout[result.stdout.index("\n[…") : result.stdout.index("…]\n") + 3]
    assert len(result.stdout) - len(marker) + result.stdout_dropped == everything


async def test_one_huge_print_is_capped_too(open_session: Open) -> None:
    result = await run(await open_session("", output_chars=1000), "print('a' + 'x' * 20_000_000 + 'z')")
    assert result.stdout.startswith("axx")
    assert result.stdout.endswith("xxz\n")
    assert len(result.stdout) <= 1000


async def test_output_that_just_fits_is_whole(open_session: Open) -> None:
    result = await run(await open_session("", output_chars=1000), "print('x' * 999)")
    assert result.stdout == "x" * 999 + "\n"
    assert result.stdout_dropped == 0


async def test_stderr_and_warnings_are_shown_with_stdout(open_session: Open) -> None:
    code = "import sys, warnings\nprint('a')\nprint('b', file=sys.stderr)\nsys.stdout.buffer.write(b'c\\n')\nNone"
    assert await printed(await open_session(""), code) == "a\nb\nc\n"


async def test_stdout_that_a_cell_replaced_is_back_in_the_next(open_session: Open) -> None:
    session = await open_session("")
    await run(session, "import sys, io\nsys.stdout = io.StringIO()\nprint('lost')")
    assert await printed(session, "print('seen')") == "seen\n"


async def test_variables_are_listed_with_types_and_sizes(open_session: Open) -> None:
    code = (
        "hits = list(range(12))\ntotal = 5\nname = 'Ann'\nlong = 'x' * 5000\ndef helper(): pass\n_hidden = 1\nimport os"
    )
    result = await run(await open_session("abc"), code)
    assert result.variables == (
        "hits: list (12), total: int = 5, name: str = 'Ann', long: str (5,000 characters), helper: function"
    )


async def test_the_line_of_variables_is_bounded(open_session: Open) -> None:
    result = await run(await open_session(""), "for i in range(500): globals()[f'name_{i}'] = i")
    assert len(result.variables) <= 500
    assert "more" in result.variables


async def test_listing_variables_runs_no_code_of_theirs(open_session: Open) -> None:
    code = (
        "class Evil:\n    def __len__(self): 1/0\n    def __repr__(self): 1/0\n"
        "class Sized(list):\n    def __len__(self): 1/0\nevil, sized = Evil(), Sized()"
    )
    result = await run(await open_session(""), code)
    assert result.status == "ok"
    assert "evil: Evil" in result.variables


async def test_show_vars_prints_names_types_and_sizes(open_session: Open) -> None:
    output = await printed(await open_session("abcd" * 50), "rows = [1, 2]\nshow_vars()")
    assert output == "context: str (200 characters)\nrows: list (2)\n"


async def test_usual_modules_are_imported_already(open_session: Open) -> None:
    code = (
        "print(re.findall(r'\\d+', 'a1b22'), json.dumps({'a': 1}), math.pi > 3, collections.Counter('aab')['a'],\n"
        "      list(itertools.chain([1], [2])), datetime.date(2026, 1, 2), Counter('bb')['b'], defaultdict(int)['x'])"
    )
    expected = "['1', '22'] {\"a\": 1} True 2 [1, 2] 2026-01-02 2 0\n"
    assert await printed(await open_session(""), code) == expected


async def test_input_explains_itself(open_session: Open) -> None:
    session = await open_session("")
    for code in ("input('name? ')", "import sys; sys.stdin.read()", "import sys\nfor line in sys.stdin: pass"):
        result = await run(session, code)
        assert result.status == "error"
        assert "`context`" in result.error


@pytest.mark.parametrize(
    "code",
    [
        "import requests",
        "from openai import OpenAI",
        "open('context.txt')",
        "import pathlib; pathlib.Path('context.txt').read_text()",
        "import os; os.listdir('.')",
        "import subprocess; subprocess.run(['ls'])",
        "import socket; socket.create_connection(('example.org', 80))",
        "import pandas as pd; pd.read_csv('data.csv')",
    ],
)
async def test_a_missing_world_is_explained(open_session: Open, code: str) -> None:
    result = await run(await open_session(""), code)
    assert result.status == "error"
    assert "`context`" in result.error


async def test_leaving_is_no_end_of_the_session(open_session: Open) -> None:
    session = await open_session("")
    for code in ("x = 1\nexit()", "import sys\nsys.exit(3)", "raise SystemExit"):
        result = await run(session, code)
        assert result.status == "error"
        assert "answer" in result.error
    assert await printed(session, "x") == "1\n"


async def test_a_closed_session_says_so(open_session: Open) -> None:
    session = await open_session("")
    await session.aclose()
    await session.aclose()
    with pytest.raises(SessionDied, match="open a new one"):
        await run(session, "1")


async def test_sessions_of_one_context_share_no_state(open_session: Open, sandbox: object) -> None:
    first, second = await open_session(["a"]), await open_session(["a"])
    await run(first, "context.append('b')\nimport json\njson.mine = 1\nx = 1")
    assert await printed(second, "import json\nprint(context, hasattr(json, 'mine'), 'x' in globals())") == (
        "['a'] False False\n"
    )


async def test_the_description_is_of_the_context(open_session: Open) -> None:
    assert "11 characters" in (await open_session("hello\nworld")).description
    assert (await open_session([{"a": 1}])).description != (await open_session("x")).description


async def test_an_error_in_a_thread_is_shown_in_short(open_session: Open) -> None:
    code = "import threading\ndef work():\n    return 1 / 0\nt = threading.Thread(target=work)\nt.start()\nt.join()"
    assert await printed(await open_session(""), code) == (
        "In a thread: Traceback (most recent call last):\n  Cell 1, line 3, in work\n    return 1 / 0\n"
        "ZeroDivisionError: division by zero\n"
    )
