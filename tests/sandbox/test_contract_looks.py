"""Contract of every backend: the look at the records before a small root is asked."""

from __future__ import annotations

from habit.schedulers.meaning import Unsaid, look_for, read_look
from sandbox.conftest import Open
from sandbox.test_contract_cells import run

INBOX = "from,text\nann,win a free phone now\nbob,see you at noon today\nann,cheap pills for you\n"


async def test_the_look_finds_the_same_everywhere(open_session: Open) -> None:
    words = ("spam", "pill", "ann")
    for context, texts, rows in (
        (INBOX, "[row['text'] for row in rows]", "table()"),
        ("- win a pill, ann\n- see you\n- good bye\n", "rows", "context.strip().splitlines()"),
        (["win a pill, ann", "see you"], "rows", "context"),
    ):
        looked = await run(await open_session(context), look_for(words))
        assert looked.status == "ok", looked.error
        assert looked.variables == ""
        assert read_look(looked.stdout, words) == Unsaid(("spam",), texts, rows)
