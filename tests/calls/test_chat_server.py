"""What a server at a base URL gets, beyond the tests that it shares with the clouds (test_pydantic_ai)."""

import subprocess
import sys

import pytest

from habit.calls.call import Call, Message, Reply
from habit.calls.provider import UnusableReply
from habit.calls.pydantic_ai import open_provider
from habit.calls.tools import ONLY_PYTHON
from support.mock_server import Answer, MockServer, running_server


async def reply_to(answer: Answer, **more: object) -> Reply:
    async with MockServer([answer]) as server:
        provider = await open_provider("m", base_url=server.url)
        try:
            return await provider.request(Call("m", (Message("user", "hello"),), "leaf", **more))  # type: ignore[arg-type]
        finally:
            await provider.aclose()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("<think>hm\n\nhm</think>\n\n42", "42"),
        ("<think></think>42", "42"),
        ("so <think>a</think>it <think>b</think>is", "so it is"),
        ("no <think> that ends", "no <think> that ends"),
        ("a </think> alone", "a </think> alone"),
    ],
)
async def test_thoughts_that_a_server_leaves_in_the_text_are_no_part_of_the_reply(said, text):
    assert (await reply_to(Answer(said))).text == text


async def test_nothing_but_thoughts_is_an_empty_reply():
    with pytest.raises(UnusableReply, match="reasoning used up") as failure:
        await reply_to(Answer("<think>and on</think>", finish="length"))
    assert failure.value.reason == "empty"


async def test_a_refusal_with_code_beside_it_is_a_refusal():
    with pytest.raises(UnusableReply) as failure:
        await reply_to(Answer(refusal="no"), tools=ONLY_PYTHON)
    assert failure.value.reason == "refused"


@pytest.mark.parametrize("usage", [(True, 1), (-1, 5)])
async def test_token_counts_that_can_not_be_are_not_believed(usage):
    reply = await reply_to(Answer("hello", usage=usage))
    assert (reply.input_tokens, reply.output_tokens) == (0, usage[1])


def test_a_server_of_ones_own_needs_no_sdk():
    code = """if True:
        import anyio, sys
        from habit.calls.call import Call, Message
        from habit.calls.pydantic_ai import open_provider
        async def main():
            provider = await open_provider("m", base_url=sys.argv[1])
            print((await provider.request(Call("m", (Message("user", "u"),), "leaf"))).text)
            await provider.aclose()
        anyio.run(main)
        print([m for m in ("pydantic_ai", "openai", "httpx2", "genai_prices.data") if m in sys.modules])
        """
    with running_server(["ok"]) as server:
        done = subprocess.run([sys.executable, "-c", code, server.url], capture_output=True, text=True, check=True)
    assert done.stdout == "ok\n[]\n"
