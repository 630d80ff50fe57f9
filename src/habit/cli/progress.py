"""Progress on stderr: one live line on a terminal, sparse plain lines anywhere else, cells as they run with ``-v``."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from habit.calls.events import BudgetWarning, CallEnded, CallFinished, CallRetried, CallStarted, FanOut, SlowedDown
from habit.cli.live_line import LiveLine
from habit.cli.output import coloured, count_of, note_line, say, visible, warning_line
from habit.events import (
    CellFinished,
    CellStarted,
    ChildStarted,
    Event,
    HabitGaveUp,
    Notice,
    RunStarted,
    SchedulerChosen,
)
from habit.run import RunEnded

if TYPE_CHECKING:
    from habit.run import Run

_LIVE_SECONDS = 0.1
_PLAIN_SECONDS = 15.0
_AFRESH = {"rlm": "The model writes a program.", "direct": "One call reads it all."}
"""What happens where no habit answers."""


class Progress:
    """Listens to a run and shows how far it is. ``close`` ends the live line; listening may go on."""

    def __init__(
        self,
        *,
        verbose: bool = False,
        resumable: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run: str | None = None
        """The run's id, once it is open."""
        self.answered: Run | None = None
        """The run, once it has an answer and the journal has it; the library may still be looked after then."""
        self.hold_news = False
        """Whether notices wait for ``tell_news``."""
        self.resumable = resumable
        self.cells = 0
        self.calls = 0
        """Calls that have ended, those answered from the journal included."""
        self.cached_calls = 0
        self.running_calls = 0
        self.tokens = 0
        self.usd: float | None = 0.0
        self._verbose = verbose
        self._shown: set[str] = set()
        self._clock = clock
        self._started = clock()
        self._live = LiveLine()
        self._held = False
        self._last_line = ""
        self._news: deque[str] = deque()
        self._ended = False

    def on_event(self, event: Event) -> None:
        """Take note of what happened."""
        match event:
            case RunStarted():
                self.run = event.run
                for note in event.notes:
                    self.warn(note)
                if not self._live.is_live:
                    self._above(note_line, f"Run {event.run} with {event.model}.")
            case SchedulerChosen():
                if event.habit is not None:
                    self._above(note_line, f"Answering with the habit {event.habit} ({event.why}).")
                elif event.why:
                    how = _AFRESH.get(event.scheduler, _AFRESH["rlm"])
                    self._above(note_line, f"No habit: {event.why.removesuffix('.')}. {how}")
            case HabitGaveUp():
                self.warn(f"{event.habit} gave up: {event.why.removesuffix('.')}. The model writes a program afresh.")
            case CellStarted():
                self.cells += 1
                if self._verbose:
                    self._above(say, self._cell_text(event))
            case CellFinished():
                if self._verbose:
                    self._above(say, self._result_text(event))
            case ChildStarted():
                if self._verbose:
                    self._above(note_line, f"child run {event.session}, {event.depth} deep")
            case CallStarted():
                self.running_calls += 1
            case CallRetried():
                if self._verbose:
                    self._above(note_line, f"{event.failure} Trying again in {event.wait:.1f} s.")
            case CallFinished():
                self._count(event)
            case CallEnded():
                self.running_calls -= 1
                self.calls += event.failure is not None
            case BudgetWarning():
                self.warn(_warning_text(event))
            case FanOut():
                self._above(note_line, _map_text(event))
            case SlowedDown():
                self._above(note_line, _slower_text(event))
            case Notice():
                self._news.append(event.said)
                if not self.hold_news:
                    self.tell_news()
            case RunEnded() if event.run.status in ("answered", "salvaged"):
                self.answered = event.run
                self.hold_news = True  # until the answer is shown
            case _:
                pass

    def tell_news(self, *, hold_news: bool = False) -> None:
        """Show the notices that were held back; with ``hold_news`` further ones wait again."""
        self.hold_news = hold_news
        with contextlib.suppress(IndexError):  # a prompt and an engine's thread may tell at once
            while True:
                self._above(note_line, self._news.popleft())

    def warn(self, note: str) -> None:
        """Show a warning, once."""
        if note not in self._shown:
            self._shown.add(note)
            self._above(warning_line, note)

    async def keep_fresh(self) -> None:
        """Redraw the live line, or add a plain line now and then, until cancelled."""
        import anyio

        while True:
            await anyio.sleep(_LIVE_SECONDS if self._live.is_live else _PLAIN_SECONDS)
            self.tick()

    def tick(self) -> None:
        """Show how far the run is, where that has changed."""
        if self._held or self._ended:
            return
        if self._live.is_live:
            self._live.draw(self.line())
        elif self.run is not None and (line := self.line(seconds=False)) != self._last_line:
            self._last_line = line
            note_line(self.line())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Leave the terminal to somebody else, a question for one."""
        self._live.erase()
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def close(self) -> None:
        """Take the live line away, for good."""
        self._live.close()

    def summary(self, run: Run) -> None:
        """Say how the run ended and what it cost, and what else a reader of the answer should know."""
        self.close()
        self._ended = True
        usage = run.usage
        self.cells, self.calls, self.cached_calls = run.cells, usage.calls + usage.cached_calls, usage.cached_calls
        self.running_calls = 0
        self.tokens = sum(tally.input_tokens + tally.output_tokens for tally in (usage.root, usage.leaf))
        self.usd = usage.usd
        for note in run.notes:
            self.warn(note)
        note_line(f"{run.status}: {self.line(seconds=False)}, {run.seconds:.1f} s (run {run.id})")

    def line(self, *, seconds: bool = True) -> str:
        """Cells, calls, tokens, dollars and seconds so far."""
        parts = [count_of(self.cells, "cell"), self._calls_text()]
        parts.append(f"{_short(self.tokens)} tokens")
        parts.append("price unknown" if self.usd is None else f"${self.usd:.4f}")
        if seconds:
            parts.append(f"{self._clock() - self._started:.1f} s")
        return ", ".join(parts)

    def _calls_text(self) -> str:
        details = []
        if self.running_calls > 0:
            details.append(f"{self.running_calls} under way")
        if self.cached_calls:
            details.append(f"{self.cached_calls} from the journal")
        return count_of(self.calls, "call") + (f" ({', '.join(details)})" if details else "")

    def _count(self, event: CallFinished) -> None:
        self.running_calls -= 1
        self.calls += 1
        reply = event.reply
        if reply.cached:
            self.cached_calls += 1
            return
        self.tokens += reply.input_tokens + reply.output_tokens
        self.usd = None if self.usd is None or reply.usd is None else self.usd + reply.usd

    def _cell_text(self, event: CellStarted) -> str:
        where = "" if event.session == "0" else f" of child run {event.session}"
        title = coloured(f"── cell {event.index}{where} ", "36", self._live.stream)
        return f"{title}\n{visible(event.code).rstrip()}"

    def _result_text(self, event: CellFinished) -> str:
        lines = [coloured(f"── {event.status}", "36", self._live.stream)]
        lines += [visible(text).rstrip() for text in (event.stdout, event.error) if text.strip()]
        return "\n".join(lines)

    def _above(self, show: Callable[[str], None], text: str) -> None:
        """Show ``text`` above the live line, which comes back with the next tick."""
        self._live.erase()
        show(text)


def _warning_text(warning: BudgetWarning) -> str:
    if warning.limit == "usd_day":
        return (
            f"All runs of this journal have spent ${warning.used:.2f} of the ${warning.allowed:.2f} allowed for today "
            "(UTC)."
        )
    if warning.limit == "usd":
        return f"The {warning.scope} has used ${warning.used:.4f} of its ${warning.allowed:g}."
    return f"The {warning.scope} has used {warning.used:,.10g} of its {warning.allowed:,.10g} {warning.limit}."


def _map_text(map_: FanOut) -> str:
    cost = "price unknown" if map_.usd is None else f"about ${map_.usd:.2f}"
    return f"{count_of(map_.calls, 'call')} to {map_.model}, {cost}."


def _slower_text(event: SlowedDown) -> str:
    pause = f" after {event.pause:.0f} s" if event.pause >= 1 else ""
    if event.reason == "refused":
        return f"{event.model} is rate limited: going on{pause} with as many requests as it takes."
    what = "takes ever longer for its replies" if event.reason == "slower" else "does not answer as it should"
    return f"{event.model} {what}: going on{pause} with fewer requests at once."


def _short(count: int) -> str:
    """A count in few characters: 950, 12.3k, 4.5M."""
    if count < 1_000:
        return str(count)
    return f"{count / 1e3:.1f}k" if count < 999_950 else f"{count / 1e6:.1f}M"
