"""Which calls of a cell are awaited, told from its source."""

from __future__ import annotations

import ast

import pytest

from habit.sandbox.cpython.inside.awaiting import awaitable, awaited_spans

AWAITED = [
    "await ask(1)",
    "x = await ask(1)",
    "await (ask(1) if y else other)",
    "await gather(ask(1), 2)",
    "await asyncio.gather(*[ask(c) for c in y])",
    "await asyncio.gather(*(ask(c) for c in y))",
    "await asyncio.gather(*[ask(c) for c in y if c], return_exceptions=True)",
    "t = ask(1)\nawait t",
    "t = u = ask(1)\nawait u",
    "a, b = ask(1), 2\nawait a",
    "ts = [ask(c) for c in y]\nfor t in ts:\n    await t",
    "ts = [ask(c) for c in y]\nr = [await t for t in ts]",
    "ts = []\nts.append(ask(1))\nawait gather(*ts)",
    "ts = {}\nts['k'] = ask(1)\nawait gather(*ts.values())",
    "ts = {c: ask(c) for c in y}\nfor k, t in ts.items():\n    await t",
    "ts = [x] + [ask(1)]\nawait gather(*ts)",
    "asyncio.run(ask(1))",
    "asyncio.create_task(ask(1))",
    "loop.run_until_complete(ask(1))",
    "f = lambda c: ask(c)\nawait gather(*[f(c) for c in y])",
    "def f(c):\n    return ask(c)\nawait gather(*map(f, y))",
    "def f():\n    yield ask(1)\nawait gather(*f())",
    "await gather(*list(map(lambda c: ask(c), y)))",
    "async def f():\n    return await ask(1)",
    "async for r in asyncio.as_completed([ask(1)]): pass",
    "(t := ask(1))\nawait t",
]
PLAIN = [
    "ask(1)",
    "x = ask(1)",
    "x = ask(1)\ny = await other(x)",
    "print(ask(1))\nawait other()",
    "async def f():\n    x = ask(1)\n    return x\nawait f()",
    "xs = [ask(c) for c in y]\nawait asyncio.sleep(1)",
    "a, b = ask(1), other()\nawait b",
    "def f(c):\n    return ask(c)\nx = f(1)\nawait other()",
    "subprocess = ask(1)\nawait asyncio.sleep(len(subprocess))",
    "await asyncio.gather(*[other(len(ask(c))) for c in y])",
]


def spans_of_ask(tree: ast.AST) -> set[object]:
    return {
        (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ask"
    }


@pytest.mark.parametrize("source", AWAITED)
def test_awaited(source: str) -> None:
    tree = ast.parse(source)
    assert spans_of_ask(tree) <= awaited_spans(tree)


@pytest.mark.parametrize("source", PLAIN)
def test_plain(source: str) -> None:
    tree = ast.parse(source)
    assert not spans_of_ask(tree) & awaited_spans(tree)


@pytest.mark.parametrize("value", ["text", 7, 1.5, ["a"], {"a": 1}])
def test_a_value_that_may_be_awaited_is_the_value(value: object) -> None:
    made = awaitable(value)
    assert made == value
    assert isinstance(made, type(value))
    with pytest.raises(StopIteration) as stop:
        made.__await__().send(None)
    assert type(stop.value.value) is type(value)
    assert awaitable(True) is True
    assert awaitable(None) is None
