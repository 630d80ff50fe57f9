"""The prompt of ``habit ask`` without a QUERY: one question a line, with line editing and a history of its own."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from habit.cli.output import note_line, one_line, say

PROMPT = "habit> "
_KEPT = 1000
"""Questions that are kept."""
_SLACK = 500
"""Questions beyond those before the file is shortened."""


class Prompt:
    """Reads questions from the terminal."""

    def __init__(self, history: History | None = None) -> None:
        self._history = history or History(history_file())
        self._editing = _has_editing()
        if self._editing:
            import readline

            readline.set_auto_history(False)  # only what the history takes
            for line in self._history.lines():
                readline.add_history(line)

    def read(self) -> str | None:
        """The next question; None when the person leaves, by an empty line, Ctrl-D or Ctrl-C."""
        while True:
            try:
                line = input(PROMPT) if self._editing else self._read_plainly()
            except (EOFError, KeyboardInterrupt):
                say("")
                return None
            except UnicodeDecodeError:
                note_line("That line is not in the terminal's encoding; type it again.")
                continue
            question = line.strip()
            if not question:
                return None
            self._keep(question)
            return question

    def _keep(self, question: str) -> None:
        if self._history.add(question) and self._editing:
            import readline

            readline.add_history(one_line(question))

    def _read_plainly(self) -> str:
        """Where stdout is not the terminal, the answers alone go there and the prompt does not."""
        sys.stderr.write(PROMPT)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line


class History:
    """Questions in a private file, oldest first. That it cannot be read or written never harms a conversation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last = ""

    def lines(self) -> list[str]:
        """The questions that are kept."""
        try:
            lines = [one_line(line) for line in self.path.read_text("utf-8", "replace").splitlines() if line.strip()]
        except OSError:
            return []
        if len(lines) > _KEPT + _SLACK:
            self._shorten(lines[-_KEPT:])
        kept = lines[-_KEPT:]
        self._last = kept[-1] if kept else ""
        return kept

    def add(self, question: str) -> bool:
        """Keep ``question``, unless it is the last one again or holds what looks like a key; whether it was kept."""
        line = one_line(question)
        if line == self._last or holds_secret(line):
            return False
        self._last = line
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write(self.path, [line], os.O_APPEND)
        return True

    def _shorten(self, lines: list[str]) -> None:
        short = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            self._write(short, lines, os.O_TRUNC)
            short.replace(self.path)

    def _write(self, path: Path, lines: list[str], how: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
        try:
            os.fchmod(descriptor, 0o600)  # whatever it was before
            os.write(descriptor, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
        finally:
            os.close(descriptor)


def history_file() -> Path:
    """Where the history is kept: in the user's folder for state."""
    import platformdirs

    return platformdirs.user_state_path("habit") / "history"


def holds_secret(text: str) -> bool:
    """Whether ``text`` holds the value of a variable for keys, or a word that looks like a key."""
    from habit.calls.failures import one_line as without_keys
    from habit.calls.failures import secrets_in_environment

    secrets = secrets_in_environment()
    return any(secret in text for secret in secrets) or any(without_keys(word) != word for word in text.split())


def _has_editing() -> bool:
    """Whether ``input`` will edit lines: Python's does so only between two terminals, and if it was built for it."""
    try:
        import readline  # noqa: F401
    except ImportError:
        return False
    return sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty()
