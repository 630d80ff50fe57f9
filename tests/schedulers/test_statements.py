"""Statements of a reply while it comes: whole ones only, in order, and only what its code begins with in the end."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.schedulers.replies import read_blocks
from habit.schedulers.statements import OpenBlock


def given_while(text: str, cuts: list[int] | None = None) -> list[str]:
    """What is given while ``text`` comes, piece by piece; character by character if no cuts are said."""
    block = OpenBlock()
    ends = range(1, len(text) + 1) if cuts is None else [*sorted(cuts), len(text)]
    return [found for end in ends if (found := block.feed(text[:end]))]


def test_a_statement_is_given_once_the_next_one_has_a_whole_line() -> None:
    block = OpenBlock()
    assert block.feed("Let me see.\n\n```python\nx = 1\n") == ""
    assert block.feed("Let me see.\n\n```python\nx = 1\nprint(") == ""
    assert block.feed("Let me see.\n\n```python\nx = 1\nprint(x)\n") == "x = 1\n"
    assert block.feed("Let me see.\n\n```python\nx = 1\nprint(x)\n# done\n\n```\n") == ""
    assert block.over


@pytest.mark.parametrize(
    "code",
    [
        "if x:\n    a()\nelse:\n    b()\nc()\nd()\n",
        "try:\n    a()\nexcept E:\n    b()\nfinally:\n    c()\nd()\n",
        "for x in y:\n    a(x)\n\n# a comment\n    # another\nelse:\n    b()\nc()\n",
        "x = '''one\ntwo = 3\n'''\nc()\nd()\n",
        "x = [\n1,\n2,\n]\nc()\nd()\n",
        "x = 1 + \\\n2\nc()\nd()\n",
        "@one\n@two\ndef f():\n    pass\nc()\nd()\n",
        "match x:\n    case 1:\n        a()\nc()\nd()\n",
    ],
)
def test_statements_of_several_lines_are_given_in_one_piece(code: str) -> None:
    found = given_while(f"```python\n{code}```")
    assert "".join(found) == code[: code.index("d()") if "d()" in code else code.index("c()")]
    whole = [ast.dump(node) for node in ast.parse(code).body]
    assert [ast.dump(node) for part in found for node in ast.parse(part).body] == whole[:-1]


@pytest.mark.parametrize(
    "reply",
    [
        "```\na()\nb()\nc()\n```",  # runs only where no labelled block follows
        "```json\n[]\n```\n```python\na()\nb()\n```",
        "FINAL(3)\n```python\na()\nb()\n```",
        "[[ ## code ## ]]\n```python\na()\nb()\n```",
        "   ```python\n   a()\n   b()\n   ```",
        "````python\na()\nb()\n````",
        "```python\n    a()\n    b()\n```",
        "no code at all\na()\nb()\n",
    ],
)
def test_what_may_be_read_in_another_way_gives_nothing(reply: str) -> None:
    assert given_while(reply) == []


def test_nothing_is_given_after_the_block_or_a_fence_inside_it() -> None:
    assert given_while("```python\na()\nb()\nx = '```'\nc()\nd()\n```\n```python\ne()\nf()\n") == ["a()\n"]


def test_a_reply_that_is_asked_for_again_gives_nothing_more() -> None:
    block = OpenBlock()
    assert block.feed("```python\na()\nb()\n") == "a()\n"
    assert block.feed("```python\na") == ""
    assert block.feed("```python\na()\nb()\nc()\nd()\n") == ""


def test_lines_that_end_in_the_way_of_windows_are_lines() -> None:
    assert given_while("```python\r\na()\r\nb()\r\n") == ["a()\n"]


LINES = st.sampled_from(
    ["a()", "x = 1", "if x:", "    b()", "else:", "    c()", "'''", "def f():", "    return 1", "", "# note", "y = [",
     "]", "for n in x:", "    print(n)", "try:", "except E:", "@f", "    '''", "z = 2 \\", "x;y()", "```", "class A:"]
)  # fmt: skip


@given(st.lists(LINES, max_size=14), st.lists(st.integers(0, 200), max_size=6), st.booleans())
def test_what_is_given_is_always_how_the_code_of_the_reply_begins(
    lines: list[str], cuts: list[int], closed: bool
) -> None:
    reply = "Some talk.\n```python\n" + "\n".join(lines) + ("\n```\nDone." if closed else "")
    found = given_while(reply, [min(cut, len(reply)) for cut in cuts])
    given = "".join(found)
    code = (*read_blocks(reply).codes, "")[0]
    if given:
        assert code.startswith(given)
    try:
        whole = [ast.dump(node) for node in ast.parse(code).body]
    except SyntaxError:
        return
    assert [ast.dump(node) for part in found for node in ast.parse(part).body] == whole[: len(ast.parse(given).body)]
    assert not given or len(ast.parse(given).body) < len(whole)
