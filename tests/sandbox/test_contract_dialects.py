"""Every backend: code written for other RLM systems runs unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from habit.errors import CallFailed
from habit.sandbox.session import LlmRequest
from sandbox.conftest import Open
from sandbox.hosts import RecordingHost, value_of


async def test_llm_query_sends_one_prompt_and_no_context(open_session: Open) -> None:
    session = await open_session()
    host = RecordingHost(lambda request: request.query.upper())
    result = await session.run_cell("print(llm_query('is it?'), llm_query('or not', model='gpt-5'))", host)
    assert (result.status, result.stdout) == ("ok", "IS IT? OR NOT\n")
    assert [(r.query, r.context, r.child) for r in host.requests] == [("is it?", None, False), ("or not", None, False)]


async def test_llm_query_batched_keeps_the_order_and_harms_only_the_slot_that_failed(open_session: Open) -> None:
    session = await open_session()

    def reply(request: LlmRequest) -> Any:
        if request.query == "b":
            raise CallFailed("no luck", reason="server")
        return request.query * 2

    host = RecordingHost(reply)
    code = "r = llm_query_batched(['a', 'b', 'c'])\nprint(r[0], type(r[1]).__name__, r[1], r[2])"
    result = await session.run_cell(code, host)
    assert result.stdout == "aa CallFailed no luck cc\n"
    assert len(host.maps) == 1


async def test_rlm_query_asks_for_a_child_that_finds_the_prompt_in_its_context(open_session: Open) -> None:
    session = await open_session()
    host = RecordingHost(lambda request: value_of(request)[::-1])
    result = await session.run_cell("print(rlm_query('abc'), rlm_query_batched(['de', 'fg']))", host)
    assert result.stdout == "cba ['ed', 'gf']\n"
    assert all(request.child for request in host.requests)


@pytest.mark.parametrize(
    "call", ["llm_query('')", "llm_query(3)", "llm_query_batched('abc')", "rlm_query_batched([1])"]
)
async def test_a_prompt_that_is_none_is_refused_with_a_reason(open_session: Open, call: str) -> None:
    session = await open_session()
    host = RecordingHost()
    result = await session.run_cell(call, host)
    assert result.status == "error"
    assert call.partition("(")[0] in result.error or "query" in result.error
    assert not host.requests
    assert not host.maps


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("FINAL('done')", "done"),
        ("FINAL(42)", 42),
        ("x = [1, 2]\nFINAL_VAR('x')", [1, 2]),
        ("x = 'text'\nFINAL_VAR(x)\n", "text"),
        ("result = {'a': 1}\nFINAL_VAR(result)", {"a": 1}),
        ("SUBMIT('yes')", "yes"),
        ("SUBMIT(answer='yes')", "yes"),
        ("SUBMIT(count=3, names=['a'])", {"count": 3, "names": ["a"]}),
        ("SUBMIT(1, 2)", [1, 2]),
        ("answer['content'] = 'c'\nanswer['ready'] = True", "c"),
        ("answer.update({'content': 'c', 'ready': True})", "c"),
        ("answer.update(content='c', ready=True)", "c"),
        ("answer = {'content': 'c', 'ready': True}", "c"),
        ("answer = dict(content=7, ready=True)", 7),
        ("answer |= {'content': 'c', 'ready': True}", "c"),
        ("answer['content'] = 'a'\nanswer['content'] += 'b'\nanswer['ready'] = True", "ab"),
        ("answer('plain')", "plain"),
    ],
)
async def test_every_way_to_answer(open_session: Open, code: str, expected: Any) -> None:
    session = await open_session()
    host = RecordingHost()
    result = await session.run_cell(code, host)
    assert (result.status, result.answer) == ("answered", expected), result.error
    assert "reserved" not in result.stdout
    assert host.answers == [expected]


async def test_the_answer_dict_waits_until_it_is_ready(open_session: Open) -> None:
    session = await open_session()
    host = RecordingHost()
    first = await session.run_cell("answer['content'] = 'a draft'", host)
    second = await session.run_cell("answer = {'content': answer['content'] + ', refined', 'ready': False}", host)
    assert (first.status, second.status) == ("ok", "ok")
    assert "reserved" not in second.stdout
    third = await session.run_cell("answer['ready'] = True\nprint('still runs to its end')", host)
    assert (third.status, third.answer) == ("answered", "a draft, refined")
    assert third.stdout == "still runs to its end\n"


async def test_a_refused_answer_dict_says_why_and_can_be_mended(open_session: Open) -> None:
    session = await open_session()

    def check(value: Any) -> None:
        if not isinstance(value, int):
            raise ValueError("expected int")

    host = RecordingHost(check=check)
    refused = await session.run_cell("answer['content'] = 'many'\nanswer['ready'] = True", host)
    assert refused.status == "error"
    assert "expected int" in refused.error
    assert (await session.run_cell("print('go on')", host)).status == "ok"
    mended = await session.run_cell("answer['content'] = 3\nanswer['ready'] = True", host)
    assert (mended.status, mended.answer) == ("answered", 3)


async def test_a_single_output_field_may_be_what_is_asked_for_or_an_object(open_session: Open) -> None:
    session = await open_session()

    def check(value: Any) -> None:
        if not isinstance(value, dict):
            raise ValueError("expected an object")

    result = await session.run_cell("SUBMIT(count=3)", RecordingHost(check=check))
    assert (result.status, result.answer) == ("answered", {"count": 3})


async def test_final_var_names_the_variables_when_there_is_no_such_one(open_session: Open) -> None:
    session = await open_session()
    result = await session.run_cell("total = 5\nFINAL_VAR('totl')", RecordingHost())
    assert result.status == "error"
    assert "totl" in result.error
    assert "total" in result.error


async def test_show_vars_in_capitals_returns_its_text(open_session: Open) -> None:
    session = await open_session()
    result = await session.run_cell(
        "total = 5\ntext = SHOW_VARS()\nprint('total' in text, type(text).__name__)", RecordingHost()
    )
    assert result.stdout == "True str\n"


async def test_another_question_may_be_asked_of_the_same_session(open_session: Open) -> None:
    session = await open_session()
    host = RecordingHost()
    await session.run_cell("kept = query", host)
    session.set_query("and by month?")
    assert (await session.run_cell("print(query, kept)", host)).stdout.startswith("and by month? ")
    assert "reserved" not in (await session.run_cell("print(query)", host)).stdout
