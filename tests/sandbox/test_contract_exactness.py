"""Contract of every backend: text is exact in every direction, whatever characters it holds."""

# ruff: noqa: E501 - code of cells as text
from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habit.contexts.context import Context
from sandbox.conftest import Open
from sandbox.hosts import RecordingHost, value_of
from sandbox.test_contract_cells import printed, run

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=200) | st.text(
    st.sampled_from("\r\n\x00\ufeff\ud800\udfff\ud83d\ude00a\u2028\x1c\x85\"\\'"), max_size=50
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=15,
)
SPECIAL = {
    "crlf": "a\r\nb\rc\n",
    "bom": "\ufeffa\ufeff",
    "nul": "a\x00b",
    "lone surrogates": "a\ud800b\udc00c",
    "surrogates in a row": "\ud83d\ude00",
    "emoji": "😀",
    "line separators": "a\u2028b\x85c\x1cd\x0be",
    "escapes": "\\u0041 \\n \"'",
    "empty": "",
}

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@pytest.mark.parametrize("text", SPECIAL.values(), ids=SPECIAL.keys())
async def test_a_text_goes_in_and_comes_out_as_it_is(open_session: Open, text: str) -> None:
    session, host = await open_session(text, query=text or "q"), RecordingHost()
    code = (
        "import hashlib\nprint(hashlib.sha256(context.encode('utf-8', 'surrogatepass')).hexdigest())\n"
        "reply = recursive_llm('q' + query, context)\nassert reply == context, (reply, context)\n"
        "assert recursive_llm('q', context[:1]) == context[:1]\n"
        "assert recursive_llm('q' + context) == 'q' + context\n"
        "assert recursive_llm_map('q', [context, [context]]) == [context, [context]]\nanswer([context, {context: context}])"
    )
    result = await run(session, code, host)
    assert result.status == "answered", result.error
    assert result.stdout == digest(text) + "\n"
    assert result.answer == [text, {text: text}]
    assert host.requests[0].query == "q" + (text or "q")
    assert host.requests[0].context is not None
    assert host.requests[0].context.payload == text.encode("utf-8", "surrogatepass")
    assert host.requests[2].query == "q" + text


@pytest.mark.parametrize("text", SPECIAL.values(), ids=SPECIAL.keys())
async def test_printed_text_is_exact(open_session: Open, text: str) -> None:
    assert await printed(await open_session(text), "print(context)") == text + "\n"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(JSON, min_size=1, max_size=20))
async def test_any_value_survives_the_way_in_the_calls_and_the_way_out(open_session: Open, values: list[Any]) -> None:
    host = RecordingHost(lambda request: value_of(request) if request.context else None)
    session = await open_session(values)
    code = (
        "for value, reply in zip(context, recursive_llm_map('q', context)):\n"
        "    assert reply == value and type(reply) is type(value), (reply, value)\nanswer(context)"
    )
    result = await run(session, code, host)
    assert result.status == "answered", result.error
    assert result.answer == values
    assert [value_of(request) for request in host.requests if request.context] == [v for v in values if v is not None]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT, start=st.integers(0, 50), size=st.integers(1, 50))
async def test_any_slice_arrives_as_its_own_bytes(open_session: Open, text: str, start: int, size: int) -> None:
    session, host = await open_session(text), RecordingHost()
    result = await run(session, f"recursive_llm('q', context[{start}:{start + size}])", host)
    assert result.status == "ok"
    assert host.requests[0].context is not None
    assert host.requests[0].context.kind == "text"
    assert host.requests[0].context.payload == text[start : start + size].encode("utf-8", "surrogatepass")


async def test_a_big_context_is_exact_too(open_session: Open) -> None:
    """Above the size from which a context is decoded once and shared."""
    text = "".join(SPECIAL.values()) * 40_000
    code = "import hashlib\nprint(len(context), hashlib.sha256(context.encode('utf-8', 'surrogatepass')).hexdigest())"
    context = Context.of(text)
    for session in (await open_session(context), await open_session(context)):
        assert await printed(session, code) == f"{len(text)} {digest(text)}\n"


async def test_a_map_over_all_of_a_big_context(open_session: Open) -> None:
    text = "0123456789" * 200_000
    host = RecordingHost(lambda request: len(value_of(request)))
    code = (
        "print(sum(recursive_llm_map('q', [context[i:i + 5000] for i in range(0, len(context), 5000)], returns=int)))"
    )
    assert (await run(await open_session(text), code, host)).stdout == f"{len(text)}\n"
    assert b"".join(r.context.payload for r in host.requests if r.context) == text.encode()


async def test_what_is_too_much_at_once_is_refused_in_the_cell(open_session: Open) -> None:
    session, host = await open_session(""), RecordingHost()
    result = await run(session, "recursive_llm_map('q', ['x' * 2 ** 20] * 80)", host)
    assert result.status == "error"
    assert "at a time" in result.error
    assert host.requests == []
    result = await run(session, "recursive_llm_map('q', ['x'] * 100_001)", host)
    assert "too many for one map" in result.error
    assert await printed(session, "recursive_llm('q')") == "'q'\n"
