"""A library in git with one approved habit, and engines that use it with a scripted model."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from habit import Settings
from habit.calls.call import Call, Reply
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.engine import Engine
from habit.events import Event, Notice
from habit.library.case import Case
from habit.library.contract import infer_contract
from habit.library.evidence import Evidence, Use
from habit.library.habit import Habit
from habit.library.repository import Repository
from habit.library.spec import Ceiling, HabitSpec, Intent, Parameter, Provenance
from habit.sandbox.session import Sandbox
from support.made_habits import classify
from support.scripted import ScriptedModels, ScriptedProvider, block

MONDAY = "from,text\nann,win a prize\nbob,see you at noon\nann,win big\n"
TUESDAY = "from,text\ndee,lunch at one?\nann,win a car\nbob,the minutes\ncid,call me back\n"
RECORDS = [{"sender": "ann", "body": "win it all"}, {"sender": "bob", "body": "good morning"}]
QUERY = "Is this message spam or ham?"
LABELS = ["spam", "ham"]
SOURCE = '''import csv
import io

def scheduler(context, recursive_llm, *, label: str) -> int:
    """Count the messages of one kind."""
    count = 0
    for row in csv.DictReader(io.StringIO(context)):
        if recursive_llm("Is this message spam or ham?", row["text"], returns=["spam", "ham"]) == label:
            count += 1
    return count
'''
AFRESH = {
    "csv": "import csv, io\ntexts = [row['text'] for row in csv.DictReader(io.StringIO(context))]\n",
    "records": "texts = [row['body'] for row in context]\n",
}
"""How a model reads each format."""
COUNT = "answer(sum(recursive_llm({query!r}, text, returns={labels!r}) == {label!r} for text in texts))"
MENDED = '''import csv
import io

def scheduler(context, recursive_llm, *, label: str) -> int:
    """Count the messages of one kind, in a table or in a list of records."""
    if isinstance(context, str):
        texts = [row["text"] for row in csv.DictReader(io.StringIO(context))]
    else:
        texts = [row["body"] for row in context]
    count = 0
    for text in texts:
        if recursive_llm("Is this message spam or ham?", text, returns=["spam", "ham"]) == label:
            count += 1
    return count
'''


def spam(text: str) -> str:
    return "spam" if "win" in text else "ham"


def afresh(form: str, label: str) -> str:
    """The program that a model writes for one question."""
    return AFRESH[form] + COUNT.format(query=QUERY, labels=LABELS, label=label)


def count_label(source: str = SOURCE, *, monday: str = MONDAY, **changes: Any) -> Habit:
    """The habit, with one green case; ``changes`` are fields of its spec."""
    texts = [row["text"] for row in csv.DictReader(io.StringIO(monday))]
    context = Context.of(monday)
    count = sum(spam(text) == "spam" for text in texts)
    spec = HabitSpec(
        name="count-label",
        description="Counts the messages of one kind.",
        intent=Intent(
            summary="Count the messages of one kind", operation="count", phrasings=("How many messages are {label}?",)
        ),
        parameters={"label": Parameter(type="choice", choices=("spam", "ham"), example="spam")},
        returns='{"type": "integer"}',
        contract=infer_contract([context], answer_type=Returns.from_type(int), answers=[count]),
        ceiling=Ceiling(base_calls=1, calls_per_record=1.0),
        provenance=Provenance(runs=("run-1",), model="mock:model", learned="2026-11-24T12:00:00Z"),
    ).model_copy(update=changes)
    asked = classify(QUERY, texts, spam, {"enum": LABELS})
    return Habit(spec, source, {"first": Case({"label": "spam"}, context, asked, count, "run-1", "How many?")})


class Model(ScriptedProvider):
    """Its root and its matcher answer by what they are asked; leaf calls know spam when they see it."""

    def __init__(
        self,
        root: Callable[[str], str],
        *,
        matched: str = '{"habit": "none", "parameters": {}}',
        leaf: Callable[[str], str | Exception] = spam,
    ) -> None:
        super().__init__(
            leaf=lambda prompt: matched if "Saved programs" in prompt else leaf(prompt), usd_per_token=1e-6
        )
        self._root = root

    async def request(self, call: Call) -> Reply:
        if call.role == "root":
            self.script = [block(self._root("\n".join(message.content for message in call.messages)))]
        return await super().request(call)

    @property
    def repairs_asked(self) -> list[str]:
        """What repairs were asked for, first prompts."""
        prompts = ["\n".join(message.content for message in call.messages) for call in self.root_calls]
        return [prompt for prompt in prompts if "Mend a Python program" in prompt]


@dataclass
class LibraryBench:
    """A folder with a library and a journal."""

    folder: Path
    sandbox: Sandbox
    told: list[str] = field(default_factory=list)
    """Notices."""

    @property
    def library(self) -> Path:
        return self.folder / "habits"

    def approve(self, habit: Habit) -> int:
        """Make the library if need be, and the habit its next version."""
        repository = Repository.init(self.library)
        candidate = repository.propose(habit)
        return repository.approve(candidate, candidate.tree)

    def engine(self, model: ScriptedProvider, **settings: Any) -> Engine:
        journal = str(self.folder / "journal.db")
        return Engine(
            Settings(**{"model": "scripted", "journal": journal, "library": str(self.library), **settings}),
            sandbox=self.sandbox,
            models=ScriptedModels(model),
            on_event=self._hear,
        )

    def _hear(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.told.append(event.said)

    def uses(self) -> list[Use]:
        evidence = self.evidence()
        try:
            return evidence.uses()
        finally:
            evidence.close()

    def outcomes(self) -> list[str]:
        return [use.outcome for use in self.uses()]

    def evidence(self) -> Evidence:
        return Evidence(self.folder / "evidence.db")


def root_by(told: Mapping[str, str]) -> Callable[[str], str]:
    """Writes the program whose key stands in the prompt; the first that does."""
    return lambda prompt: next(code for key, code in told.items() if key in prompt)
