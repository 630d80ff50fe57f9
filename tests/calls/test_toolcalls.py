"""The text form of tool calls: lossless, and no turn lost to arguments that are not as they were asked for."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls.call import Call, Message
from habit.calls.toolcalls import EARLIER, ToolCalls, ToolResult, as_text, as_turns, read_calls, read_reply, split
from habit.calls.tools import ONLY_PYTHON, Made, Tool, part, part_results, write, write_results

LINES = st.sampled_from(
    ["x = 1", "```", "````", "```python", "```python run_python", "\\```python run_python", "", " ", "\r", "\\", "'''"]
)
TEXTS = st.text() | st.lists(LINES | st.text(max_size=5), max_size=8).map("\n".join)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_what_goes_in_comes_out(prose: str, codes: list[str]) -> None:
    assert split(as_text(prose, codes)) == (prose, tuple(codes))


@given(TEXTS)
def test_any_text_can_be_split(text: str) -> None:
    prose, codes = split(text)
    assert codes or prose == text
    assert split(as_text(prose, codes)) == (prose, codes)


def test_the_text_form_reads_as_markdown() -> None:
    assert as_text("Let me count.", ["print(1)"]) == "Let me count.\n\n```python run_python\nprint(1)\n```"
    assert as_text("", ["s = '```'"]) == "````python run_python\ns = '```'\n````"
    assert as_text("just words", []) == "just words"


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1)\n```",
        "```python run_python\nprint(1)\n```\nand that is it",
        "```python run_python\nprint(1)",
        "I call run_python, as ```python run_python``` says",
    ],
)
def test_other_fences_are_text(text: str) -> None:
    assert split(text) == (text, ())


UNUSUAL = [
    ("run_python", '{"code": "x = 1"}'),
    ("run_python", {"code": "x = 1"}),
    ("run_python", "x = 1"),
    ("run_python", '"x = 1"'),
    ("run_python", {"source": "x = 1"}),
    ("run_python", {"anything": "x = 1"}),
    ("run_python", {"code": "x = 1", "timeout": 5}),
    ("run_python", {"code": ["x = 1"]}),
    ("run_python", json.dumps(json.dumps({"code": "x = 1"}))),
    ("run_python", {"code": "```python\nx = 1\n```"}),
    ("run_python", '{"code": "x = 1"'),
    ("run_python", '{"code": "x = 1"}}'),
    ("python", '{"code": "x = 1"}'),
    ("execute_code", '{"code": "x = 1"}'),
]


@pytest.mark.parametrize(("name", "arguments"), UNUSUAL, ids=range(len(UNUSUAL)))
def test_arguments_are_read_as_what_they_must_mean(name: str, arguments: object) -> None:
    assert split(read_reply("", [(name, arguments)])) == ("", ("x = 1",))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["code", "x"]) | TEXTS, inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    TEXTS, st.sampled_from(["run_python", "python", "other", ""]) | TEXTS, JSON | JSON.map(json.dumps), st.booleans()
)
def test_nothing_a_model_sends_is_too_strange(prose: str, name: str, arguments: object, cut_off: bool) -> None:
    text = read_reply(prose, [(name, arguments)], cut_off=cut_off)
    assert text.strip()
    assert all(code.strip() for code in split(text)[1])


def test_arguments_nested_beyond_all_bounds_are_told_all_the_same() -> None:
    nested: object = 1
    for _ in range(100_000):
        nested = [nested]
    assert "without code" in read_reply("", [("run_python", {"code": nested})])


def test_line_ends_and_stray_escapes_in_json_are_forgiven() -> None:
    raw = '{"code": "import re\nprint(re.findall("\\d+", context))"}'.replace('"\\d+"', "'\\d+'")
    assert split(read_reply("", [("run_python", raw)]))[1] == ("import re\nprint(re.findall('\\d+', context))",)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("run_python", '{"code": print(1)}', "are no JSON"),
        ("run_python", "{" * 100_000, "are no JSON"),
        ("run_python", "{}", "without code"),
        ("run_python", None, "without code"),
        ("run_python", "", "without code"),
        ("run_python", {"code": "  \n"}, "without code"),
        ("run_python", {"code": 5}, "without code"),
        ("run_python", {"one": "x", "two": "y"}, "without code"),
        ("answer", {"value": 42}, "There is no tool 'answer': call run_python"),
    ],
)
def test_what_can_not_be_read_is_said(name: str, arguments: object, said: str) -> None:
    text = read_reply("Let me see.", [(name, arguments)])
    assert text.startswith("Let me see.\n\n[")
    assert said in text
    assert split(text)[1] == ()
    assert len(text) < 2_500


def test_a_good_call_beside_a_bad_one_is_made() -> None:
    prose, codes = split(read_reply("", [("answer", {}), ("run_python", {"code": "x"})]))
    assert codes == ("x",)
    assert "There is no tool" in prose


def test_code_that_was_cut_off_is_an_unclosed_block() -> None:
    arguments = json.dumps({"code": 'for x in context:\n    print("```\\n'})
    for end in range(len('{"code": "f'), len(arguments) - 2):
        text = read_reply("Hm.", [("run_python", arguments[:end])], cut_off=True)
        assert re.match(r"Hm.\n\n(`{3,})python\nf", text)
        assert split(text)[1] == ()
    assert read_reply("", [("run_python", '{"code": ')], cut_off=True).startswith("[The arguments")


@pytest.mark.parametrize(
    "left",
    [
        '<tool_call>\n{"name": "run_python", "arguments": {"code": "x = 1"}}\n</tool_call>',
        '<tool_call>{"name": "run_python", "arguments": "{\\"code\\": \\"x = 1\\"}"}',
        '```json\n{"name": "run_python", "arguments": {"code": "x = 1"}}\n```',
        '{"name": "run_python", "parameters": {"code": "x = 1"}}',
    ],
)
def test_a_call_that_the_server_left_in_the_prose_is_a_call(left: str) -> None:
    assert split(read_reply(left, [])) == ("", ("x = 1",))


@pytest.mark.parametrize(
    "text", ["```python\nx = 1\n```", '{"name": "run_python"', "<tool_call>?</tool_call>", "run_python"]
)
def test_prose_alone_stays_as_it_is(text: str) -> None:
    assert read_reply(text, []) == text


def test_history_has_its_calls_and_their_results_apart() -> None:
    turns = list(
        as_turns(
            [
                Message("system", "s"),
                Message("user", "question"),
                Message("assistant", as_text("Look.", ["a", "b"])),
                Message("user", "output"),
                Message("assistant", "```python\nc\n```"),
                Message("user", "more"),
                Message("assistant", as_text("", ["d"])),
            ]
        )
    )
    assert turns == [
        Message("system", "s"),
        Message("user", "question"),
        ToolCalls(
            "Look.", (("run000200", Made("run_python", "a", True)), ("run000201", Made("run_python", "b", True)))
        ),
        ToolResult("run000200", "run_python", EARLIER),
        ToolResult("run000201", "run_python", "output"),
        Message("assistant", "```python\nc\n```"),
        Message("user", "more"),
        Message("assistant", as_text("", ["d"])),  # no result follows, so providers would refuse a call
    ]


def test_only_a_call_with_the_tool_has_another_key() -> None:
    plain = Call("m", (Message("user", "u"),), "root")
    assert plain.key == "1480d91caf60529be2445d4e5e43b88ba00570bacb4712af2959659c1952eb67"
    assert Call("m", (Message("user", "u"),), "root", tools=ONLY_PYTHON).key != plain.key


SEARCH = Tool("search", "Find.", {"type": "object", "properties": {"pattern": {}}, "required": ["pattern"]})
PEEK = Tool("peek", "Look.", {"type": "object", "properties": {}})
SEVERAL = (SEARCH, PEEK)
MARKED = st.sampled_from(["[result 1 of 2: a]", "\\[result 2 of 2: b]", "[result 2 of 2: b]", "", "x"])
RESULTS = st.text() | st.lists(MARKED, max_size=4).map("\n".join)


@given(
    TEXTS | st.just("```json search\n{}\n```"),
    st.lists(st.dictionaries(st.text(max_size=3), TEXTS, max_size=2), min_size=1, max_size=3),
)
def test_calls_of_other_tools_go_in_and_come_out(prose: str, arguments: list[dict[str, str]]) -> None:
    made = tuple(Made("search", json.dumps(each, ensure_ascii=False)) for each in arguments)
    assert part(write(prose, made, SEVERAL), SEVERAL) == (prose, made)


@given(st.lists(st.tuples(st.sampled_from(["search", "peek", ""]), RESULTS), min_size=2, max_size=4))
def test_results_are_told_apart(results: list[tuple[str, str]]) -> None:
    assert part_results(write_results(results), len(results)) == [text for _, text in results]


@given(RESULTS, st.integers(0, 3))
def test_any_text_can_be_asked_for_results(text: str, count: int) -> None:
    found = part_results(text, count)
    assert found is None or len(found) == count


@given(TEXTS, st.sampled_from(["search", "peek", "other", "functions.search", ""]) | TEXTS, JSON | JSON.map(json.dumps))
def test_nothing_a_model_sends_to_several_tools_is_too_strange(prose: str, name: str, arguments: object) -> None:
    text = read_reply(prose, [(name, arguments)], SEVERAL)
    assert all(isinstance(call.arguments, dict) for call in part(text, SEVERAL)[1])
    assert part(text, SEVERAL)[1] or "[" in text


@given(st.lists(st.sampled_from(["```json search", "```", '{"pattern": "x"}', "{", '{"tool": "peek"}', "words"])))
def test_any_text_can_be_read_for_calls(lines: list[str]) -> None:
    prose, made, problems = read_calls("\n".join(lines), [], SEVERAL)
    assert isinstance(prose, str)
    assert all(call.tool in ("search", "peek") for call in made)
    assert all("\n" not in problem.split(":")[0] for problem in problems)


def test_each_call_has_its_own_result_in_the_history() -> None:
    made = [Made("search", '{"pattern": "x"}'), Made("peek", "{}")]
    messages = [
        Message("user", "q"),
        Message("assistant", write("Look.", made, SEVERAL)),
        Message("user", write_results([("search", "one"), ("peek", "two")])),
    ]
    assert list(as_turns(messages, SEVERAL))[1:] == [
        ToolCalls("Look.", (("run000100", made[0]), ("run000101", made[1]))),
        ToolResult("run000100", "search", "one"),
        ToolResult("run000101", "peek", "two"),
    ]


def test_other_tools_are_in_the_key_with_their_words() -> None:
    keys = {Call("m", (), "root", tools=tools).key for tools in ((), ONLY_PYTHON, SEVERAL, (SEARCH,))}
    assert len(keys) == 4
