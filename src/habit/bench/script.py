"""The oracle's script: what a competent model replies to each prompt of Habit, from the prompt alone.

It knows the families of the bench and what their texts mean, and is told nothing of who asks: it reads the question and
the format of the input in the prompt, like any model. So several runs may ask at once, in whatever order, and the
same call always gets the same reply, mistakes included: chance is seeded by what is asked.

As the root of an RLM it writes the family's program, as an agent it works with the tools, as a leaf it reads texts, and
asked with all of the input (``direct``) it reads every record. It also says which habit a question is for, and mends
programs when a format has changed.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from habit.bench.agents import Step, next_step, noted, notes
from habit.bench.data import THINGS, Format
from habit.bench.families import Family
from habit.bench.large import ASK_KINDS, ASK_THREATS, EVERY
from habit.bench.mending import mended
from habit.bench.reading import Reader
from habit.bench.sized import THREATENING
from habit.bench.surveys import asked, written
from habit.calls.call import Call, Message
from habit.calls.toolcalls import as_text
from habit.calls.tools import Made, Tools, write

Asked = tuple[Family, dict[str, Any]]
"""The family of a question, and its parameters."""

_QUESTION = re.compile(r"(?m)^Question: (.*)$")
_TEXT = re.compile(r"\n\n<text>\n(.*)\n</text>", re.DOTALL)
_SMALL_TEXT = re.compile(r"Text: (.*)\n\n(.*)", re.DOTALL)
_MEND = "Mend a Python program. What it is for: "
_UNKNOWN = "unknown"
_CHARACTERS_A_TOKEN = 4


def tokens_of(messages: Iterable[Message]) -> int:
    """Tokens of a prompt, as scripted models count: four characters are one."""
    return sum(len(message.content) for message in messages) // _CHARACTERS_A_TOKEN


def tokens_said(text: str) -> int:
    """Tokens of a reply."""
    return max(1, len(text) // _CHARACTERS_A_TOKEN)


class Script:
    """Replies; ``noise`` is the chance, from 0 to 1, that a leaf misreads a text or a record."""

    def __init__(
        self,
        families: Sequence[Family] = EVERY,
        *,
        noise: float = 0.0,
        seed: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """``labels`` are the kinds of texts beyond those of the bench's own inputs."""
        self._families = families
        self._noise = noise
        self._seed = seed
        self._labels = labels or {}

    def reply(self, call: Call) -> str:
        """What the model says, tool calls in their text form."""
        system, told = call.messages[0].content, [message.content for message in call.messages[1:]]
        if "You keep notes of work" in system:
            return notes(noted(told))
        if told[-1].startswith("Saved programs"):
            return self._matched(told[-1])
        if "Saved programs" in told[0]:
            return self._matched(told[0])
        if any(tool.name == "peek" for tool in call.tools) or ("recursive_llm(query, slices)" in system):
            return self._as_agent(call.messages, call.tools)
        if "label is `json`" in system:
            return self._as_agent(call.messages, ())
        if call.tools or "Python" in system or "REPL" in system:
            code = self._code(call.messages)
            return as_text("", [code]) if call.tools else f"```python\n{code}\n```"
        return self._leaf(told[0], call.schema)

    def _recognised(self, question: str) -> Asked | None:
        for family in self._families:
            if (given := family.recognised(question)) is not None:
                return family, given
        return None

    def _asked_in(self, prompt: str) -> Asked | None:
        """The question of a prompt that says it on a line of its own."""
        return next(filter(None, map(self._recognised, reversed(_QUESTION.findall(prompt)))), None)

    def _code(self, messages: Sequence[Message]) -> str:
        """The next cell of the program."""
        start = messages[1].content
        if _MEND in start:
            return f"answer({self._mended(start)!r})"
        found = self._asked_in(start)
        if found is None:
            return f"answer({_UNKNOWN!r})"
        family, given = found
        turn = sum(message.role == "assistant" for message in messages)
        cells = family.cells(_form(family, start), given)
        return cells[min(turn, len(cells) - 1)]

    def _mended(self, request: str) -> str:
        """The program of a request, for all formats of its family."""
        summary = request.partition(_MEND)[2].partition("\n")[0].removeprefix("Answers: ")
        told = re.search(r"(?m)^For `context` and the parameters (\{.*\}) the right answer is ", request)
        given: dict[str, Any] = json.loads(told[1]) if told else {}
        found = self._recognised(_filled(summary, given))
        if found is None:
            return _UNKNOWN
        family, values = found
        names = _named(values, given)
        return mended(family, values, list(given), names)

    def _matched(self, prompt: str) -> str:
        """As a good model would: the habit that answers questions of this family, with the values of this one."""
        none = {"habit": "none", "parameters": {}}
        question = prompt.rpartition("The question, as JSON: ")[2].strip()
        found = self._recognised(json.loads(question))
        for line in prompt.splitlines() if found else ():
            told: Mapping[str, Any] = json.loads(line) if line.startswith('{"habit"') else {}
            examples = {name: about.get("example") for name, about in told.get("parameters", {}).items()}
            for phrasing in [told.get("answers", "").removeprefix("Answers: "), *told.get("asked as", [])]:
                known = self._recognised(_filled(phrasing, examples))
                if found and known and known[0] is found[0] and len(known[1]) == len(examples):
                    names = _named(known[1], examples)
                    return json.dumps(
                        {"habit": told["habit"], "parameters": {names[name]: found[1][name] for name in names}}
                    )
        return json.dumps(none)

    def _as_agent(self, messages: Sequence[Message], tools: Tools) -> str:
        """The next step, after the notes that it needs."""
        found = self._asked_in(messages[1].content)
        if found is None:
            return _called("I don't know.", ("answer", {"value": _UNKNOWN}), tools)
        said = [message.content for message in messages[1:]]
        try:
            state, step = next_step(*found, noted(said), said[-1] if len(said) > 1 else "")
        except (IndexError, KeyError, StopIteration, ValueError):  # misread, or cut off: it gives up as a model does
            return _called("I can't make it out.", ("answer", {"value": _blank(found[0].returns)}), tools)
        return _called(notes(state), step, tools)

    def _leaf(self, prompt: str, schema: Mapping[str, Any] | None) -> str:
        """The reply of a fresh model to one query about one text."""
        query, text = _parted(prompt)
        chance = random.Random(f"{self._seed}/{hashlib.sha256(prompt.encode('utf-8', 'replace')).hexdigest()}")
        reader = Reader(chance, self._noise, self._labels)
        value = self._read(query, text, reader)
        if schema is not None and set(schema.get("properties", ())) == {"value"}:
            return json.dumps({"value": value})
        return value if isinstance(value, str) else json.dumps(value)

    def _read(self, query: str, text: str, reader: Reader) -> Any:
        if ASK_KINDS in query:
            return [reader.kind(line) for line in text.splitlines()]
        if ASK_THREATS in query:
            return [line for line in text.splitlines() if (line in THREATENING) != reader.misreads()]
        if survey := asked(query):
            return written(survey.tally(reader.read(text)))
        found = next(filter(None, map(self._recognised, query.splitlines())), None)
        if found is not None:
            family, given = found
            try:
                return family.truth(reader.read(text), given)
            except (IndexError, KeyError, StopIteration, ValueError):  # the record that was asked for was misread
                return _blank(family.returns)
        if "Name the thing" in query:
            right = next((thing for thing in THINGS if f" {thing}" in text), "nothing")
            return reader.chance.choice(sorted({*THINGS} - {right})) if reader.misreads() else right
        return reader.kind(text.strip())


def _parted(prompt: str) -> tuple[str, str]:
    """(query, text) of a leaf prompt, in the layout of either profile."""
    if found := _TEXT.search(prompt):
        return prompt[: found.start()], found[1]
    if found := _SMALL_TEXT.fullmatch(prompt):
        return found[2], found[1]
    return prompt, ""


_CHANGED = re.compile(r"(?m)^\| (?:id;|.+ \| \d)")
"""A first line as the description of an input shows it, of those that change in mid-stream."""


def _form(family: Family, start: str) -> Format:
    """The format of an input, as its description tells."""
    if family.tables or len(family.formats) == 1:
        return family.later if _CHANGED.search(start) else family.formats[0]
    if "separated by semicolon" in start:
        return "semicolons"
    if "JSON Lines" in start:
        return "json-lines"
    return "records" if "a list of " in start else "csv"


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """A template with its values."""
    return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), template)


def _named(values: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, str]:
    """What the parameters of a family are called in a habit, told by their values."""
    left, names = dict(told), {}
    for name, value in values.items():
        called = next((one for one, other in left.items() if str(other) == str(value)), None)
        if called is not None:
            names[name] = called
            del left[called]
    return names


def _called(prose: str, step: Step, tools: Tools) -> str:
    """A reply that calls one tool: natively, else as JSON, which every profile reads."""
    tool, arguments = step
    if tools:
        return write(prose, [Made(tool, json.dumps(arguments))], tools)
    return f"{prose}\n\n```json {tool}\n{json.dumps(arguments)}\n```"


def _blank(returns: Any) -> Any:
    """The emptiest answer of a type."""
    return [] if returns == list[str] else _UNKNOWN if returns is str else returns()
