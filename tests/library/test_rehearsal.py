"""Scheduler code runs in the real sandbox with recorded replies, and only with those."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.errors import UsageError
from habit.library.case import Case, Exchange, Replies
from habit.library.rehearsal import replay_case, stage
from habit.sandbox.choose import open_sandbox
from habit.sandbox.session import LlmRequest, Sandbox

SOURCE = '''
def scheduler(context, recursive_llm, *, label: str) -> int:
    """Count the lines of one label."""
    count = 0
    for line in context.splitlines():
        if recursive_llm("spam or ham?", line, returns=["spam", "ham"]) == label:
            count += 1
    return count
'''
SCHEMA = {"enum": ["spam", "ham"]}
CASE = Case(
    {"label": "spam"},
    Context.of("buy now\nhello\nwin big"),
    [
        Exchange("spam or ham?", Context.of(line), SCHEMA, reply)
        for line, reply in (("buy now", "spam"), ("hello", "ham"), ("win big", "spam"))
    ],
    2,
    "run-1",
    "How many are spam?",
)
CHECK = Returns.from_type(int).check


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    made = open_sandbox("cpython")
    yield made
    await made.aclose()


async def test_a_case_is_green(sandbox: Sandbox) -> None:
    rehearsed, trouble = await replay_case(sandbox, SOURCE, CASE, CHECK)
    assert trouble == ""
    assert rehearsed.answer == 2
    assert [exchange.reply for exchange in rehearsed.asked] == ["spam", "ham", "spam"]


async def test_other_parameters_need_no_other_replies(sandbox: Sandbox) -> None:
    _, trouble = await replay_case(sandbox, SOURCE, replace(CASE, parameters={"label": "ham"}, expected=1), CHECK)
    assert trouble == ""


async def test_a_reply_that_was_not_recorded_fails_the_case(sandbox: Sandbox) -> None:
    _, trouble = await replay_case(sandbox, SOURCE, replace(CASE, exchanges=CASE.exchanges[:2]), CHECK)
    assert trouble == "it asks what was not recorded (1 times, first: 'spam or ham?')"


async def test_a_reply_that_is_not_asked_for_fails_the_case(sandbox: Sandbox) -> None:
    _, trouble = await replay_case(
        sandbox, SOURCE.replace("context.splitlines()", '["buy now", "win big"]'), CASE, CHECK
    )
    assert trouble == "it no longer asks 1 of the 3 recorded calls"


async def test_another_answer_fails_the_case(sandbox: Sandbox) -> None:
    _, trouble = await replay_case(sandbox, SOURCE, replace(CASE, expected=3), CHECK)
    assert trouble == "it answers 2 instead of 3"


async def test_an_error_fails_the_case_with_its_last_line(sandbox: Sandbox) -> None:
    _, trouble = await replay_case(sandbox, SOURCE.replace("count += 1", "1 / 0"), CASE, CHECK)
    assert trouble == "ZeroDivisionError: division by zero"


async def test_an_answer_of_another_type_fails_the_case(sandbox: Sandbox) -> None:
    _, trouble = await replay_case(sandbox, SOURCE.replace("return count", "return 'many'"), CASE, CHECK)
    assert trouble == "ValueError: expected int, got str 'many'"


async def test_parameters_are_never_code(sandbox: Sandbox) -> None:
    hostile = '\'""")); answer(9) #\n\\'
    source = "def scheduler(context, recursive_llm, *, label):\n    return len(label)\n"
    async with stage(sandbox, Context.of(""), CHECK) as here:
        assert (await here.play(source, {"label": hostile}, Replies([]))).answer == len(hostile)


def test_the_same_request_gets_its_replies_in_order() -> None:
    request = LlmRequest("q", Context.of("x"), None)
    known = [Exchange("q", Context.of("x"), None, reply) for reply in ("first", "second")]
    once, again = Replies(known), Replies(known, again=True)
    assert [found and found.reply for found in map(once.take, [request] * 3)] == ["first", "second", None]
    assert [found and found.reply for found in map(again.take, [request] * 3)] == ["first", "second", "second"]


def test_a_case_is_read_back_as_it_was_written() -> None:
    failed = Exchange("q", None, None, None, "refused", "refused")
    case = replace(CASE, exchanges=[*CASE.exchanges, failed], context=Context.of("lone \udcff surrogate"))
    again = Case.from_json(case.to_json())
    assert again.to_json() == case.to_json()
    assert again.context.payload == case.context.payload


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', CASE.to_json().replace('"text"', '"code"', 1)])
def test_what_is_no_case_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="restore it from git"):
        Case.from_json(text)
