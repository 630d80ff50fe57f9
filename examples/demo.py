"""`make demo`: a real question about megabytes of real text, answered by a small model on this machine.

The input is the source of Python's own standard library. The model never sees it: it writes code that does. Where the
model can't be had, a run that was recorded with it is replayed instead, from the journal in this folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

QUESTION = "How many lines contain the word 'deprecated'?"
RECORDED = Path(__file__).parent / "recorded"
LIBRARY = Path(sysconfig.get_path("stdlib"))
HABIT = str(Path(sys.executable).parent / "habit")


def source_text() -> str:
    """The top-level modules of the standard library, one after the other."""
    return "".join(file.read_text("utf-8") for file in sorted(LIBRARY.glob("*.py")))


def right_answer(text: str) -> int:
    """The answer to QUESTION, found without a model."""
    return sum("deprecated" in line for line in text.split("\n"))


def main() -> int:
    """Run the demo; the exit status is that of the question."""
    text = source_text()
    print(f"The input: the source of Python's standard library, {len(text) / 1e6:.1f} MB.")
    print(f"The question: {QUESTION}\n", flush=True)
    if subprocess.run([HABIT, "models", "pull"]).returncode != 0:
        return replay()
    options = ["--model", "local", "--returns", "int", "--no-cache", "-v"]
    print(f'$ cat {LIBRARY}/*.py | habit ask {" ".join(options)} "{QUESTION}"\n', flush=True)
    status = subprocess.run([HABIT, "ask", *options, QUESTION], input=text.encode()).returncode
    print(f"\nCounted without a model, for comparison: {right_answer(text)}.")
    print("Next: `.venv/bin/habit show last`, `.venv/bin/habit replay last`, and questions of your own: see README.md.")
    return status


def replay() -> int:
    """Show the whole path from a recording: the same code runs in the same sandbox, with the replies of then."""
    print("\nThe local model can't be had here, so this replays a run of it that was recorded with it.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(RECORDED, folder, dirs_exist_ok=True)
        journal = str(Path(folder) / "journal.db")
        subprocess.run([HABIT, "show", "last", "--journal", journal], check=True)
        status = subprocess.run([HABIT, "replay", "last", "--journal", journal]).returncode
    print("\nFor a model of your own: OPENAI_API_KEY=… habit ask --model openai:gpt-5-mini …; see README.md.")
    return status


if __name__ == "__main__":
    sys.exit(main())
