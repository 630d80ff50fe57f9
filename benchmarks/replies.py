"""What the mock server says to all systems: one script for each benchmark, chosen by the name of the model.

``python -m support.mock_server --script benchmarks/replies.py`` serves it. The server keeps no state for a run: how far
a conversation has come is seen from the replies in it. It notes when each request arrived; asking the model LOG gives
those notes and starts afresh.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.mock_server import Request

QUERY = "BENCH: do as the script says."
"""The question of every run; only conversations of a root hold it."""
LEAF = "LEAF"
"""In the prompt of every leaf call."""
LOG = "log"

RATE = 100
"""Requests a second that the model LIMITED takes; it refuses the others."""
LIMITED = "limited"

_TOKEN = re.compile(r"token-\d+-")
_FINAL = re.compile(r'answer\["content"\] = (.*)\nanswer\["ready"\] = True')
_STEP = re.compile(r"\[\[ ## iteration ## \]\]\s+(\d+)")
"""In what ``dspy`` asks: a conversation anew at each step, with what went before told in it."""
_arrivals: list[dict[str, Any]] = []
_taken: deque[float] = deque()


def reply(request: Request) -> Any:
    """The answer to one request."""
    from support.mock_server import Answer, failing

    model = str(request.body.get("model"))
    if model == LOG:
        noted = json.dumps(_arrivals)
        _arrivals.clear()
        return noted
    kind = kind_of(request)
    name, _, count = model.partition("-x")
    refused = name == LIMITED and kind == "leaf" and not _admit(time.monotonic())
    _arrivals.append({"time": time.monotonic(), "model": model, "kind": kind, "refused": refused})
    if refused:
        return failing(429, "slow down")
    if kind == "leaf" and name in _LEAVES:
        return Answer(_LEAVES[name](request.messages[-1][1]), usage=(10, 5))
    if kind == "leaf":
        return Answer("yes", usage=LEAF_USAGE if name == "budget" else (10, 5))
    step = _STEP.search(request.messages[-1][1])
    turn = int(step[1]) - 1 if step else sum(role == "assistant" for role, _ in request.messages)
    code = _CHILDREN[name](turn, _since_last_reply(request)) if kind == "child" else _ROOTS[name](turn, int(count or 0))
    if step:
        code = _FINAL.sub(r"SUBMIT(\1)", code)
        return (
            f"[[ ## reasoning ## ]]\nLet me see.\n\n[[ ## code ## ]]\n```python\n{code}\n```\n\n[[ ## completed ## ]]"
        )
    return f"Let me see.\n\n```repl\n{code}\n```"


def _admit(now: float) -> bool:
    """A window that slides: no more than RATE taken in any second."""
    while _taken and _taken[0] <= now - 1:
        _taken.popleft()
    if len(_taken) >= RATE:
        return False
    _taken.append(now)
    return True


def _since_last_reply(request: Request) -> str:
    """What a conversation has told the model since it spoke: the output of its code."""
    texts: list[str] = []
    for role, text in request.messages:
        texts = [] if role == "assistant" else [*texts, text]
    return "\n".join(texts)


def kind_of(request: Request) -> str:
    """Whether a root, a child or a leaf call asks."""
    messages = request.messages
    if any(QUERY in text for _, text in messages):
        return "root"
    alone = all(role != "assistant" for role, _ in messages)
    return "leaf" if alone and LEAF in messages[-1][1] else "child"


LEAF_USAGE = (400, 100)
"""Tokens of a leaf call of the benchmark ``budget``."""


def final(expression: str) -> str:
    """Code that gives the final answer."""
    return f'answer["content"] = {expression}\nanswer["ready"] = True'


def _two_cells(turn: int, count: int) -> str:
    return "size = len(context)\nprint(size)" if turn == 0 else final("str(size)")


def _preview(turn: int, count: int) -> str:
    return "print(context[:5000])" if turn == 0 else final("'done'")


def _batch(turn: int, count: int) -> str:
    """One cell, so that the time is the batch's."""
    return f"replies = llm_query_batched([f'{LEAF} {{number}}: is it so?' for number in range({count})])\n" + final(
        "str(sum(reply == 'yes' for reply in replies))"
    )


def _loop(turn: int, count: int) -> str:
    return (
        f"found = 0\nfor number in range({count}):\n    if llm_query(f'{LEAF} {{number}}: is it so?') == 'yes':\n"
        "        found += 1\n" + final("str(found)")
    )


def _comprehension(turn: int, count: int) -> str:
    return f"replies = [llm_query(f'{LEAF} {{number}}: is it so?') for number in range({count})]\n" + final(
        "str(len(replies))"
    )


def _dependent(turn: int, count: int) -> str:
    """Every prompt holds the reply before it."""
    return (
        f"reply = 'nothing'\nfor number in range({count}):\n"
        f"    reply = llm_query(f'{LEAF} {{number}}: what comes after {{reply}}?')\n" + final(f"str({count})")
    )


def _break(turn: int, count: int) -> str:
    """A reply ends it at item 10."""
    return (
        f"for number in range({count}):\n    if llm_query(f'{LEAF} {{number}}: is it so?') == 'stop':\n"
        "        break\n" + final("str(number)")
    )


def _three_calls(turn: int, count: int) -> str:
    """Two of the root and a leaf call, with the state of one cell used in the next."""
    return f"reply = llm_query('{LEAF}: is it so?')\nprint(reply)" if turn == 0 else final("reply")


def _long(turn: int, count: int) -> str:
    """A cell of many calls that does not end the run by itself."""
    return (
        f"for number in range({count}):\n    llm_query(f'{LEAF} {{number}}: is it so?')" if turn == 0 else final("'no'")
    )


def _children(turn: int, count: int) -> str:
    return (
        "import json\n"
        f"prompts = [f'Report on token-{{number}}-.' for number in range({count})]\n"
        "said = [str(value) for value in rlm_query_batched(prompts)]\n" + final("json.dumps(said)")
    )


def _child(turn: int, told: str) -> str:
    """Prints its token, makes a leaf call, prints it again; then says which tokens its output showed it."""
    if turn == 0:
        return (
            "import re\n"
            r"mine = re.search(r'token-\d+-', context).group()" + "\n"
            "print('began', mine)\n"
            f"reply = llm_query('{LEAF}: is ' + mine + ' so?')\n"
            "print('ended', mine)"
        )
    seen = sorted(_TOKEN.findall(told))
    return final(f"mine + ' saw {' '.join(seen)}'")


_ROOTS: dict[str, Callable[[int, int], str]] = {
    "cells": _two_cells,
    "large": _two_cells,
    "journal": _preview,
    "batch": _batch,
    LIMITED: _batch,
    "three": _three_calls,
    "loop": _loop,
    "comprehension": _comprehension,
    "dependent": _dependent,
    "break": _break,
    "budget": _batch,
    "time": _long,
    "children": _children,
}
_CHILDREN: dict[str, Callable[[int, str], str]] = {"children": _child}
_LEAVES: dict[str, Callable[[str], str]] = {
    "dependent": lambda prompt: f"n{zlib.crc32(prompt.encode())}",
    "break": lambda prompt: "stop" if f"{LEAF} 10:" in prompt else "go on",
}
"""What leaf calls get where it is not always the same."""
