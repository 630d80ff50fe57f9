"""Contract of every backend: asking the host from sync code, threads and asyncio; and answering."""

# ruff: noqa: E501 - code of cells as text
from __future__ import annotations

from typing import Any

import anyio
import pytest

from habit.errors import CallFailed
from habit.sandbox.session import LlmRequest
from sandbox.conftest import Open
from sandbox.hosts import RecordingHost, value_of
from sandbox.test_contract_cells import printed, run


class Meeting:
    """Replies only when ``parties`` requests are under way at once: a proof of concurrency without a clock."""

    def __init__(self, parties: int) -> None:
        self.parties = parties
        self.present = 0
        self.all_there = anyio.Event()

    async def __call__(self, request: LlmRequest) -> Any:
        self.present += 1
        if self.present >= self.parties:
            self.all_there.set()
        await self.all_there.wait()
        return f"<{value_of(request) if request.context else request.query}>"


async def test_a_call_returns_the_reply(open_session: Open) -> None:
    host = RecordingHost(lambda request: f"reply to {request.query}")
    session = await open_session("")
    assert await printed_with(session, "x = recursive_llm('a?')\nprint(x, type(x).__name__)", host) == (
        "reply to a? str\n"
    )
    assert host.requests == [LlmRequest("a?", None, None)]


async def printed_with(session: Any, code: str, host: RecordingHost) -> str:
    result = await run(session, code, host)
    assert result.status == "ok", result.error
    return result.stdout


async def test_a_map_keeps_the_order(open_session: Open) -> None:
    host = RecordingHost(lambda request: value_of(request).upper())
    code = (
        "print(recursive_llm_map('q', ['a', 'b', 'c']), recursive_llm_map('q', []), recursive_llm_map('q', iter('d')))"
    )
    assert await printed_with(await open_session(""), code, host) == "['A', 'B', 'C'] [] ['D']\n"
    assert [len(requests) for requests in host.maps] == [3, 0, 1]


async def test_threads_call_at_the_same_time(open_session: Open) -> None:
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(list(pool.map(lambda c: recursive_llm('q', c), 'abcdefgh')))"
    )
    expected = f"{[f'<{c}>' for c in 'abcdefgh']}\n"
    assert await printed_with(await open_session(""), code, RecordingHost(Meeting(8))) == expected


GATHERED = {
    "direct": "print(await asyncio.gather(recursive_llm('q', 'a'), recursive_llm('q', 'b'), recursive_llm('q', 'c')))",
    "comprehension": "print(await asyncio.gather(*[recursive_llm('q', c) for c in 'abc']))",
    "generator": "print(list(await asyncio.gather(*(recursive_llm('q', c) for c in 'abc'))))",
    "list first": "tasks = [recursive_llm('q', c) for c in 'abc']\nprint(await asyncio.gather(*tasks))",
    "appended": "tasks = []\nfor c in 'abc':\n    tasks.append(recursive_llm('q', c))\nprint(await asyncio.gather(*tasks))",
    "added": "tasks = []\nfor c in 'abc':\n    tasks += [recursive_llm('q', c)]\nprint(await asyncio.gather(*tasks))",
    "mapped": "print(await asyncio.gather(*map(lambda c: recursive_llm('q', c), 'abc')))",
    "dict": (
        "jobs = {c: recursive_llm('q', c) for c in 'abc'}\n"
        "values = await asyncio.gather(*jobs.values())\nprint(list(dict(zip(jobs, values)).values()))"
    ),
    "awaited in turn": "tasks = [recursive_llm('q', c) for c in 'abc']\nprint([await t for t in tasks])",
    "tasks": ("tasks = [asyncio.create_task(recursive_llm('q', c)) for c in 'abc']\nprint([await t for t in tasks])"),
    "task group": (
        "async with asyncio.TaskGroup() as group:\n"
        "    tasks = [group.create_task(recursive_llm('q', c)) for c in 'abc']\n"
        "print([t.result() for t in tasks])"
    ),
    "coroutine function": (
        "async def ask(c):\n    return await recursive_llm('q', c)\n"
        "print(await asyncio.gather(*[ask(c) for c in 'abc']))"
    ),
    "plain function": (
        "def ask(c):\n    return recursive_llm('q', c)\nprint(await asyncio.gather(*[ask(c) for c in 'abc']))"
    ),
    "semaphore": (
        "limit = asyncio.Semaphore(3)\nasync def ask(c):\n    async with limit:\n        return await recursive_llm('q', c)\n"
        "print(await asyncio.gather(*[ask(c) for c in 'abc']))"
    ),
    "asyncio.run": (
        "async def main():\n    return await asyncio.gather(*[recursive_llm('q', c) for c in 'abc'])\n"
        "print(asyncio.run(main()))"
    ),
    "to_thread": "print(await asyncio.gather(*[asyncio.to_thread(recursive_llm, 'q', c) for c in 'abc']))",
    "executor": (
        "loop = asyncio.get_running_loop()\n"
        "print(await asyncio.gather(*[loop.run_in_executor(None, recursive_llm, 'q', c) for c in 'abc']))"
    ),
    "alias": "ask = recursive_llm\nprint(await asyncio.gather(*[ask('q', c) for c in 'abc']))",
    "wait_for": ("print(await asyncio.gather(*[asyncio.wait_for(recursive_llm('q', c), 30) for c in 'abc']))"),
    "as_completed": (
        "done = []\nfor job in asyncio.as_completed([recursive_llm('q', c) for c in 'abc']):\n    done.append(await job)\n"
        "print(sorted(done))"
    ),
}


@pytest.mark.parametrize("code", GATHERED.values(), ids=GATHERED.keys())
async def test_gathered_calls_are_under_way_at_the_same_time(open_session: Open, code: str) -> None:
    output = await printed_with(await open_session(""), code, RecordingHost(Meeting(3)))
    assert output == "['<a>', '<b>', '<c>']\n"


async def test_a_plain_call_blocks_even_where_an_event_loop_runs(open_session: Open) -> None:
    code = (
        "plain = recursive_llm('q', 'plain')\n"
        "other = await recursive_llm('q', 'other')\n"
        "print(plain.upper(), other, isinstance(plain, str), ''.join([plain]), json.dumps(plain))\n"
        "async def inside():\n    text = recursive_llm('q', 'inner')\n    return re.sub('n', 'N', text)\n"
        "print(await inside())"
    )
    assert await printed_with(await open_session(""), code, RecordingHost()) == (
        'PLAIN other True plain "plain"\niNNer\n'
    )


async def test_a_reply_that_the_analysis_does_not_follow_can_be_awaited_as_well(open_session: Open) -> None:
    code = (
        "class Box: pass\nbox = Box()\nbox.reply = recursive_llm('q', 'x')\nbox.n = recursive_llm('q', 7, returns=int)\n"
        "print(await box.reply, await box.n, type(await box.reply) is str)"
    )
    assert await printed_with(await open_session(""), code, RecordingHost()) == "x 7 True\n"


async def test_an_awaited_map(open_session: Open) -> None:
    code = "a, b = await asyncio.gather(recursive_llm_map('q', list('ab')), recursive_llm_map('q', ['c', 'd']))\nprint(a + b)"
    assert await printed_with(await open_session(""), code, RecordingHost()) == "['a', 'b', 'c', 'd']\n"


async def test_a_call_made_in_one_cell_can_be_awaited_in_the_next(open_session: Open) -> None:
    session, host = await open_session(""), RecordingHost()
    await run(
        session,
        "async def later(t):\n    return await t\ntask = asyncio.create_task(recursive_llm('q', 'x'))\nawait asyncio.sleep(0)",
        host,
    )
    assert await printed_with(session, "print(await task)", host) == "x\n"


async def test_a_failed_call_raises_in_the_cell(open_session: Open) -> None:
    def fail(request: LlmRequest) -> Any:
        raise CallFailed("the model refused", reason="refused")

    session, host = await open_session(""), RecordingHost(fail)
    result = await run(session, "recursive_llm('q', 'x')", host)
    assert result.status == "error"
    assert "CallFailed: the model refused" in result.error
    code = "try:\n    recursive_llm('q')\nexcept CallFailed as failure:\n    print(failure, failure.reason)"
    assert await printed_with(session, code, host) == "the model refused refused\n"
    code = (
        "results = await asyncio.gather(recursive_llm('q'), return_exceptions=True)\nprint(type(results[0]).__name__)"
    )
    assert await printed_with(session, code, host) == "CallFailed\n"


async def test_in_a_map_a_failure_harms_only_its_slot(open_session: Open) -> None:
    def fail_b(request: LlmRequest) -> Any:
        if value_of(request) == "b":
            raise CallFailed("not b", reason="refused")
        return value_of(request)

    session, host = await open_session(""), RecordingHost(fail_b)
    code = "r = recursive_llm_map('q', list('abc'), on_error='return')\nprint(r[0], isinstance(r[1], CallFailed), r[1], r[2])"
    assert await printed_with(session, code, host) == "a True not b c\n"
    result = await run(session, "recursive_llm_map('q', list('abc'))", host)
    assert "1 of 3 calls failed" in result.error
    assert "the first: not b" in result.error
    assert len(host.requests) == 6  # all slots were done before it raised


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("recursive_llm(['q'], 'x')", "the query must be a str"),
        ("recursive_llm('  ')", "the query is empty"),
        ("recursive_llm('q', lambda: 1)", "pass a str"),
        ("recursive_llm('q', object())", "pass a str"),
        ("recursive_llm('q', b'\\xff')", "decode"),
        ("recursive_llm('q', 'x', returns='banana')", "a list of allowed strings"),
        ("recursive_llm('q', 'x', returns=open)", "a list of allowed strings"),
        ("recursive_llm('q', 'x', returns=[])", "empty list"),
        ("recursive_llm_map('q', 'xxx')", "contexts must be a list"),
        ("recursive_llm_map('q', ['x'], on_error='skip')", "on_error"),
        ("recursive_llm_map('q', {'a': 'b'})", "contexts must be a list"),
        ("recursive_llm_map('q', 7)", "contexts must be a list"),
    ],
)
async def test_wrong_arguments_are_explained_and_nothing_is_asked(open_session: Open, code: str, says: str) -> None:
    host = RecordingHost()
    result = await run(await open_session(""), code, host)
    assert result.status == "error"
    assert says in result.error
    assert host.requests == []


RETURNS = [
    ("str", None, "text", "'text'"),
    ("int", {"type": "integer"}, 3, "3"),
    ("float", {"type": "number"}, 3, "3.0"),
    ("bool", {"type": "boolean"}, True, "True"),
    ("list[str]", {"type": "array", "items": {"type": "string"}}, ["a"], "['a']"),
    ("dict", {"type": "object"}, {"a": 1}, "{'a': 1}"),
    ("['yes', 'no']", {"enum": ["yes", "no"]}, "yes", "'yes'"),
    ("Literal['a', 'b']", {"enum": ["a", "b"]}, "b", "'b'"),
    ("Colour", {"enum": ["red", "blue"]}, "red", "<Colour.RED: 'red'>"),
    ("int | None", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, None, "None"),
    ("{'type': 'integer', 'minimum': 3}", {"type": "integer", "minimum": 3}, 4, "4"),
    (
        "{'name': str, 'age': int}",
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"],
            "additionalProperties": False,
        },
        {"name": "Ann", "age": 3},
        "{'name': 'Ann', 'age': 3}",
    ),
    (
        "Person",
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name"],
            "additionalProperties": False,
        },
        {"name": "Ann"},
        "Person(name='Ann', age=0)",
    ),
    ("tuple[str, int]", {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2, "maxItems": 2}, ["a", 1], "('a', 1)"),
    ("dict[str, int]", {"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, "{'a': 1}"),
]  # fmt: skip


@pytest.mark.parametrize(("returns", "schema", "reply", "shown"), RETURNS, ids=[row[0] for row in RETURNS])
async def test_returns_becomes_a_schema_and_the_reply_the_type(
    open_session: Open, returns: str, schema: Any, reply: Any, shown: str
) -> None:
    host = RecordingHost(lambda request: reply)
    definitions = {
        "Literal": "from typing import Literal\n",
        "Colour": "from enum import Enum\nclass Colour(Enum):\n    RED = 'red'\n    BLUE = 'blue'\n",
        "Person": "from dataclasses import dataclass\n@dataclass\nclass Person:\n    name: str\n    age: int = 0\n",
    }
    needed = "".join(code for name, code in definitions.items() if name in returns)
    code = f"{needed}print(repr(recursive_llm('q', 'c', returns={returns})))"
    assert await printed_with(await open_session(""), code, host) == shown + "\n"
    assert host.requests[0].schema == schema


async def test_pydantic_models_are_rebuilt(open_session: Open) -> None:
    pytest.importorskip("pydantic")
    host = RecordingHost(lambda request: {"city": "Rome"})
    code = (
        "from pydantic import BaseModel\nclass Place(BaseModel):\n    city: str\n"
        "print(recursive_llm('q', 'c', returns=Place).city)"
    )
    assert await printed_with(await open_session(""), code, host) == "Rome\n"
    assert host.requests[0].schema is not None
    assert host.requests[0].schema["required"] == ["city"]


async def test_contexts_of_many_types_arrive_as_text_or_json(open_session: Open) -> None:
    pytest.importorskip("pandas")
    host = RecordingHost()
    code = (
        "import pandas as pd, numpy as np, datetime, decimal\n"
        "frame = pd.DataFrame({'a': [1, 2], 'b': ['x', None]})\n"
        "for value in ('text', b'bytes', {'k': (1, 2)}, {3, 1}, np.int64(4), np.array([1.5, 2]), frame, frame['a'],\n"
        "              datetime.date(2026, 1, 2), decimal.Decimal('1.50'), range(3), (x for x in 'ab'), Counter('aa'),\n"
        "              {'t': pd.Timestamp('2026-01-02'), 'n': pd.NA}):\n"
        "    recursive_llm('q', value)"
    )
    await printed_with(await open_session(""), code, host)
    assert [value_of(request) for request in host.requests] == [
        "text", "bytes", {"k": [1, 2]}, [1, 3], 4, [1.5, 2.0], "a,b\n1,x\n2,\n", [1, 2], "2026-01-02", 1.5, [0, 1, 2],
        ["a", "b"], {"a": 2}, {"t": "2026-01-02T00:00:00", "n": None},
    ]  # fmt: skip


async def test_classify_is_a_map_with_choices(open_session: Open) -> None:
    host = RecordingHost(lambda request: "tool")
    code = "labels = classify(['a hammer', 'a plum'], ['fruit', 'tool'])\nprint(labels)"
    assert await printed_with(await open_session(""), code, host) == "['tool', 'tool']\n"
    assert host.requests[0].schema == {"enum": ["fruit", "tool"]}
    assert [value_of(request) for request in host.requests] == ["a hammer", "a plum"]


ANSWERS = [
    ("'text'", "text"),
    ("3", 3),
    ("None", None),
    ("{1, 3, 2}", [1, 2, 3]),
    ("('a', (1, 2))", ["a", [1, 2]]),
    ("{1: 'a', (1, 2): 'b', None: 'c'}", {"1": "a", "(1, 2)": "b", "null": "c"}),
    ("datetime.datetime(2026, 1, 2, 3)", "2026-01-02T03:00:00"),
    ("__import__('decimal').Decimal('2.5')", 2.5),
    ("__import__('decimal').Decimal('3.0')", 3),
    ("__import__('numpy').float64(1.5)", 1.5),
    ("__import__('numpy').bool_(True)", True),
    ("__import__('numpy').arange(3)", [0, 1, 2]),
    ("__import__('pandas').DataFrame({'a': [1]})", [{"a": 1}]),
    ("__import__('pandas').Series([1, 2])", [1, 2]),
    ("Counter('aab').most_common()", [["a", 2], ["b", 1]]),
    ("(c for c in 'ab')", ["a", "b"]),
    ("'\\ud800 \\x00'", "\ud800 \x00"),
]


@pytest.mark.parametrize(("value", "plain"), ANSWERS, ids=[row[0][:30] for row in ANSWERS])
async def test_an_answer_is_made_plain(open_session: Open, value: str, plain: Any) -> None:
    host = RecordingHost()
    result = await run(await open_session(""), f"print('before')\nanswer({value})\nprint('after')", host)
    assert result.status == "answered", result.error
    assert result.answer == plain
    assert type(result.answer) is type(plain)
    assert result.stdout == "before\n"


@pytest.mark.parametrize(
    "value", ["object()", "len", "float('nan')", "b'x'", "int", "[[]] and (a := [], a.append(a))[0]"]
)
async def test_what_is_no_data_is_refused_in_the_session(open_session: Open, value: str) -> None:
    host = RecordingHost()
    result = await run(await open_session(""), f"answer({value})", host)
    assert result.status == "error"
    assert "answer()" in result.error
    assert host.answers == []


async def test_a_mismatch_comes_back_as_an_error_and_the_cell_may_go_on(open_session: Open) -> None:
    def check(value: Any) -> None:
        if not isinstance(value, int):
            raise ValueError("an int is wanted, and this is a str")

    host = RecordingHost(check=check)
    result = await run(
        await open_session(""), "try:\n    answer('x')\nexcept ValueError as e:\n    print(e)\nanswer(3)", host
    )
    assert result.status == "answered"
    assert result.answer == 3
    assert result.stdout == "an int is wanted, and this is a str\n"
    result = await run(await open_session(""), "answer('x')", host)
    assert result.status == "error"
    assert "an int is wanted" in result.error


ENDINGS = {
    "except Exception": "try:\n    answer(1)\nexcept Exception:\n    pass\nprint('after')",
    "bare except": "try:\n    answer(1)\nexcept:\n    print('caught')\nprint('after')",
    "loop with bare except": "while True:\n    try:\n        answer(1)\n    except:\n        continue",
    "suppress": "import contextlib\nwith contextlib.suppress(BaseException):\n    answer(1)\nprint('after')",
    "function": "def f():\n    try:\n        answer(1)\n    finally:\n        pass\nf()\nprint('after')",
    "coroutine": "async def f():\n    answer(1)\nawait f()\nprint('after')",
    "gather": "async def f():\n    answer(1)\nawait asyncio.gather(f(), asyncio.sleep(100))\nprint('after')",
    "task": "async def f():\n    answer(1)\nt = asyncio.create_task(f())\nawait asyncio.sleep(100)\nprint('after')",
    "asyncio.run": "async def f():\n    answer(1)\nasyncio.run(f())\nprint('after')",
    "thread": (
        "import threading, time\nt = threading.Thread(target=lambda: answer(1))\nt.start()\nt.join()\ntime.sleep(100)\n"
        "print('after')"
    ),
    "pool": (
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as pool:\n"
        "    list(pool.map(lambda v: answer(v), [1]))\nprint('after')"
    ),
    "to_thread": "await asyncio.to_thread(answer, 1)\nprint('after')",
    "generator": "def g():\n    yield 0\n    answer(1)\nfor _ in g(): pass\nprint('after')",
    "busy main": "import threading\nthreading.Thread(target=lambda: answer(1)).start()\nwhile True: pass",
}


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS.keys())
async def test_an_accepted_answer_ends_the_cell_wherever_it_is_given(open_session: Open, code: str) -> None:
    result = await run(await open_session(""), code)
    assert result.status == "answered"
    assert result.answer == 1
    assert "after" not in result.stdout


async def test_an_answer_survives_a_worker_that_dies_of_it(open_session: Open) -> None:
    code = "import os\ntry:\n    answer(1)\nfinally:\n    os._exit(1)"
    result = await run(await open_session(""), code)
    assert result.status == "answered"
    assert result.answer == 1


async def test_errors_of_the_host_end_the_cell_and_leave_the_session_usable(open_session: Open) -> None:
    def stop(request: LlmRequest) -> Any:
        raise RuntimeError("the budget is used up")

    session = await open_session("")
    with pytest.raises(RuntimeError, match="the budget"):
        await run(
            session, "x = 1\nwhile True:\n    try:\n        recursive_llm('q')\n    except: pass", RecordingHost(stop)
        )
    assert await printed(session, "x") == "1\n"


async def test_a_cancelled_cell_is_interrupted_and_leaves_the_session_usable(open_session: Open) -> None:
    session = await open_session("")
    called = anyio.Event()

    async def hang(request: LlmRequest) -> Any:
        called.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(run, session, "x = 1\nrecursive_llm('q')\nx = 2", RecordingHost(hang))
        await called.wait()
        group.cancel_scope.cancel()
    assert await printed(session, "x") == "1\n"


async def test_code_that_is_handed_recursive_llm_alone_can_ask_about_each(open_session: Open) -> None:
    session = await open_session("a\nb")
    code = """
def ask_each(recursive_llm, query, items, **how):
    together = getattr(recursive_llm, "map", None)
    return together(query, items, **how) if together else [recursive_llm(query, item, **how) for item in items]

def scheduler(context, recursive_llm):
    return ask_each(recursive_llm, "q", context.splitlines(), returns=str)

answer(scheduler(context, recursive_llm))
"""
    result = await session.run_cell(code, RecordingHost())
    assert result.answer == ["a", "b"], result.error
