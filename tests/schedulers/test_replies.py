"""Reading code blocks out of replies, as models really write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls.toolcalls import as_text
from habit.schedulers.replies import read_blocks


@pytest.mark.parametrize("label", ["python", "py", "repl", "Python", "python3", "{python}", ""])
def test_a_labelled_or_bare_fence_is_code(label: str) -> None:
    assert read_blocks(f"Let me look.\n```{label}\nprint(1)\n```\nDone.").codes == ("print(1)",)


@pytest.mark.parametrize("label", ["json", "text", "output", "bash", "diff"])
def test_other_labels_are_prose(label: str) -> None:
    assert read_blocks(f"```{label}\nprint(1)\n```").codes == ()


def test_bare_fences_beside_labelled_ones_are_prose() -> None:
    assert read_blocks("```\nsome output\n```\n```python\nx = 1\n```").codes == ("x = 1",)


def test_several_blocks_keep_their_order() -> None:
    assert read_blocks("```py\na = 1\n```\nand\n```repl\nb = 2\n```").codes == ("a = 1", "b = 2")


def test_an_unclosed_block_runs_to_the_end() -> None:
    blocks = read_blocks("```python\nx = 1\nprint(x)")
    assert blocks.codes == ("x = 1\nprint(x)",)
    assert blocks.unclosed


def test_a_fence_inside_a_triple_quoted_string_does_not_end_the_block() -> None:
    code = 'prompt = """\n```json\n{}\n```\n"""\nprint(prompt)'
    assert read_blocks(f"```python\n{code}\n```").codes == (code,)


def test_a_fence_inside_a_string_that_is_never_closed_ends_the_block() -> None:
    assert read_blocks('```python\nx = """oops\n```\nSorry.').codes == ('x = """oops',)


def test_a_longer_fence_holds_shorter_ones() -> None:
    assert read_blocks("````python\nx = '''\n```\n'''\n````").codes == ("x = '''\n```\n'''",)


def test_tilde_fences_and_crlf() -> None:
    assert read_blocks("~~~python\r\nx = 1\r\ny = 2\r\n~~~\r\n").codes == ("x = 1\ny = 2",)


def test_a_block_inside_a_list_item_loses_its_indentation() -> None:
    assert read_blocks("1. Look:\n   ```python\n   if x:\n       y()\n   ```").codes == ("if x:\n    y()",)


def test_a_closing_fence_glued_to_the_code_closes() -> None:
    assert read_blocks("```python\nprint(1)```\nThen more words.").codes == ("print(1)",)


def test_code_on_the_line_of_the_fence_is_code() -> None:
    assert read_blocks("```python print(1)\n```").codes == ("print(1)",)


@pytest.mark.parametrize("text", ["", "The answer is 42.", "```python\n\n```", "`print(1)`", "```"])
def test_no_code(text: str) -> None:
    assert read_blocks(text).codes == ()


def test_info_words_after_the_label_are_left_out() -> None:
    assert read_blocks("```python title=demo\nprint(1)\n```").codes == ("print(1)",)


@given(
    st.lists(st.text(alphabet="abc =1()\n'\"#", min_size=1).filter(lambda code: code.strip()), min_size=1, max_size=4)
)
def test_well_formed_blocks_come_back(codes: list[str]) -> None:
    codes = [code.strip("\n").replace('"""', "").replace("'''", "") for code in codes]
    codes = [code for code in codes if code.strip() and not code[0].isspace()] or ["x"]
    reply = "\n".join(f"words\n```python\n{code}\n```" for code in codes)
    found = read_blocks(reply).codes
    assert [line.rstrip() for code in found for line in code.split("\n")] == [
        line.rstrip() for code in codes for line in code.split("\n")
    ]


@given(st.text(alphabet="`~py thon\n\"'x=1{}\r", max_size=200))
def test_any_text_is_read(text: str) -> None:
    for code in read_blocks(text).codes:
        assert code.strip()


@pytest.mark.parametrize("code", ["s = '''\n```python\nx\n```'''", "    indented = 1", "x = '```'\r\n", "a = 1\n\n"])
def test_code_of_a_tool_call_is_taken_to_the_letter(code: str) -> None:
    blocks = read_blocks(as_text("I would run:\n```python\nprint(1)\n```", [code, "b = 2"]))
    assert blocks.runnable(cut_off=True) == (code, "b = 2")


def test_a_final_answer_beside_a_tool_call_comes_last() -> None:
    assert read_blocks(as_text("FINAL(42)", ["x = 1"])).runnable(cut_off=False) == ("x = 1", "FINAL('42')")
