"""Questions about documents and archives, from end to end: real conversion, sandbox and journal, a scripted model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from habit.config import Settings
from habit.engine import Engine
from habit.errors import UsageError
from habit.sandbox.cpython import CPythonSandbox
from support import documents as make
from support.scripted import ScriptedModels, ScriptedProvider, block

PAGES = make.pdf([["Invoice 7", "Total: 12.50"], ["Invoice 8", "Total: 7.25"]])
DOCX = make.docx([("Heading 1", "Terms"), ("", "Due in 30 days."), ("Heading 1", "Fees"), ("", "None.")])
XLSX = make.xlsx({"Costs": [["item", "cost"], ["a", 1.5], ["b", 2]], "People": [["name"], ["Ada"]]})


@pytest.fixture
def engine(place: Path, sandbox: CPythonSandbox) -> Callable[..., Engine]:
    """Opens an engine whose model says what the script says."""

    def open_engine(*script: str, **settings: Any) -> Engine:
        chosen = Settings(model="scripted", journal=str(place.parent / "journal.db"), **settings)
        provider = ScriptedProvider([block(code) for code in script])
        return Engine(chosen, sandbox=sandbox, models=ScriptedModels(provider))

    return open_engine


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


SUM_OF_PAGES = r"""
total = 0
for page in context:
    total += float(re.search(r"Total: ([\d.]+)", page)[1])
answer(total)
"""
HEADINGS = "answer([part.splitlines()[0] for part in parts()])"
SUM_OF_ROWS = "answer(sum(row['cost'] for row in context['Costs']) + len(table(context['People'])))"
OF_AN_ARCHIVE = r"""
found = {name: len(parts(text)) for name, text in context.items() if name.endswith((".pdf", ".docx"))}
found["cost"] = sum(row["cost"] for row in table(context["in/a.xlsx/Costs"]))
found["names"] = list(context)
answer(found)
"""

QUESTIONS = {
    "pdf": ("a.pdf", PAGES, SUM_OF_PAGES, 19.75),
    "docx": ("a.docx", DOCX, HEADINGS, ["# Terms", "# Fees"]),
    "xlsx": ("a.xlsx", XLSX, SUM_OF_ROWS, 4.5),
    "zip": (
        "a.zip",
        make.zipped({"a.pdf": PAGES, "a.docx": DOCX, "in/a.xlsx": XLSX, "notes.txt": "n"}),
        OF_AN_ARCHIVE,
        {
            "a.pdf": 2,
            "a.docx": 2,
            "cost": 3.5,
            "names": ["a.docx", "a.pdf", "in/a.xlsx/Costs", "in/a.xlsx/People", "notes.txt"],
        },
    ),
}


@pytest.mark.parametrize(("name", "data", "code", "expected"), QUESTIONS.values(), ids=QUESTIONS)
async def test_a_question_about_a_document(
    engine: Callable[..., Engine], place: Path, name: str, data: bytes, code: str, expected: object
) -> None:
    (place / name).write_bytes(data)
    async with engine(code) as asked:
        run = await asked.ask("?", paths=[name], returns=type(expected))
        assert run.answer == expected
        (place / name).rename(place / "moved")
        with pytest.raises(UsageError, match="is no longer there"):
            await asked.replay(run.id)
        (place / "moved").rename(place / name)
        assert (await asked.replay(run.id)).same


async def test_raw_reaches_the_loader_and_the_record(engine: Callable[..., Engine], place: Path) -> None:
    page = "<!doctype html><p>x</p>"
    (place / "a.html").write_text(page)
    async with engine("answer(context)", "answer(context)") as asked:
        converted = await asked.ask("?", paths=["a.html"])
        raw = await asked.ask("?", paths=["a.html"], raw=True)
        assert (converted.answer, raw.answer) == ("x", page)
        assert (await asked.replay(raw.id)).same


async def test_without_a_journal_no_conversion_is_kept(engine: Callable[..., Engine], place: Path) -> None:
    (place / "a.pdf").write_bytes(PAGES)
    kept = place.parent / "cache" / "habit" / "conversions"
    async with engine("answer(len(context))", no_journal=True) as asked:
        assert (await asked.ask("?", paths=["a.pdf"], returns=int)).answer == 2
    assert not kept.exists()
    async with engine("answer(len(context))") as asked:
        await asked.ask("?", paths=["a.pdf"], returns=int)
    assert kept.exists()


async def test_a_broken_document_starts_nothing(engine: Callable[..., Engine], place: Path) -> None:
    (place / "a.pdf").write_bytes(PAGES[:100])
    async with engine("answer(1)") as asked:
        with pytest.raises(UsageError, match=r"a\.pdf is a PDF that ends too early"):
            await asked.ask("?", paths=["a.pdf"])
        store = await asked.store()
        assert await store.runs() == []
