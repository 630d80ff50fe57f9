"""The ways in which a bench asks: an engine for each, with the models and the library that belong to it."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import anyio
import anyio.to_thread

from habit import __version__
from habit.bench.oracle import NAME as ORACLE
from habit.bench.oracle import OracleModel, OracleModels, oracle_about
from habit.bench.outcome import differing, digest_of
from habit.bench.plan import Item
from habit.bench.tasks import Question
from habit.calls.provider import Provider
from habit.config import Settings
from habit.engine import Engine
from habit.journal.sqlite import SqliteStore
from habit.library.checks.examine import MOST_MUTANTS
from habit.library.git import Git
from habit.library.repository import Repository
from habit.local.models import DEFAULT, KNOWN, find
from habit.models import Models, NamedModels, default_model, is_local
from habit.sandbox.choose import open_sandbox, pick
from habit.sandbox.session import Sandbox

JOURNAL = "journal.db"
_OWN_NAMES = ("model", "leaf_model", "strategy")
"""Settings that are fields of an outcome themselves."""
_OF_THE_PLACE = ("journal", "library", "base_url_from_file", "max_usd", "otel")
"""Settings that change no answer."""


@dataclass(frozen=True)
class Arm:
    """One way to ask."""

    engine: Engine
    repository: Repository | None
    settings: Mapping[str, Any]
    """All that may change an answer."""


class Arms:
    """Opens each arm when it is first needed; all share one journal, one sandbox and the models. A context manager."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        *,
        oracle: bool,
        latency: float,
        shadow: float,
        mutants: int,
        sandbox: Sandbox | None,
    ) -> None:
        self.oracle = oracle
        self.latency = latency
        self.settings = replace(settings, no_cache=True, no_journal=False, max_usd=None)
        if oracle:
            self.settings = replace(self.settings, model=ORACLE, leaf_model=None, base_url=None)
        elif settings.model is None:
            self.settings = replace(self.settings, model=default_model(settings))
        self.model = _model_name(self.settings)
        self.versions = _versions(self.settings)
        self._folder = folder
        self._shadow = shadow
        self._mutants = mutants
        self._sandbox = sandbox
        self._scripted = OracleModels(OracleModel())
        self._models: Models = self._scripted if oracle else NamedModels()
        self._opened: dict[tuple[str, str], Arm] = {}
        self._stack = AsyncExitStack()
        self._store: SqliteStore | None = None

    async def __aenter__(self) -> Self:
        """Open the journal."""
        self._store = await SqliteStore.open(self._folder / JOURNAL)
        self._stack.push_async_callback(_whatever_happens, self._store.aclose)
        self._stack.push_async_callback(_whatever_happens, self._models.aclose)
        if self._sandbox is None:
            name, _ = await anyio.to_thread.run_sync(pick, self.settings.sandbox)
            self._sandbox = await anyio.to_thread.run_sync(open_sandbox, name)
            self._stack.push_async_callback(_whatever_happens, self._sandbox.aclose)
        self.versions = {**self.versions, "sandbox": self._sandbox.name}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every arm, the last one first: each has tasks of its own."""
        await self._stack.__aexit__(kind, error, trace)

    @property
    def store(self) -> SqliteStore:
        """The journal."""
        assert self._store is not None
        return self._store

    @property
    def root(self) -> Provider | None:
        """The root that may be asked again at no cost; None for a model."""
        return self._scripted.model if self.oracle else None

    @property
    def spent(self) -> float:
        """US dollars of all that was asked since this was opened."""
        return sum(arm.engine.resources.shared.spent.usd for arm in self._opened.values())

    def settings_of(self, item: Item) -> Settings:
        """The settings that ``item`` is asked with."""
        library = self._folder / "libraries" / self._library_of(item) if item.library else self._folder / "no-library"
        return replace(
            self.settings,
            strategy=item.strategy,
            shadow=self._shadow if item.strategy == "auto" else 0.0,
            library=str(library / "habits"),
            journal=str(library / JOURNAL),  # evidence of habits is kept beside it; the runs are in the shared one
        )

    def told(self, settings: Settings) -> dict[str, Any]:
        """What of ``settings`` may change an answer, for a line of outcomes; no secrets, and no places."""
        told = {name: value for name, value in asdict(settings).items() if name not in (*_OWN_NAMES, *_OF_THE_PLACE)}
        if told["base_url"] is not None:
            told["base_url"] = _without_user(told["base_url"])
        return told

    def how(self, item: Item) -> list[Any]:
        """All that decides how ``item`` is asked, but for what is as usual: later versions have more settings, and the
        outcomes of this one are found again all the same."""
        told = differing(self.told(self.settings_of(item)))
        mutants = self._unusual_mutants if item.library else []
        return [item.strategy, self.model, item.noise, self.latency, told, *mutants]

    async def arm(self, item: Item) -> Arm:
        """The way to ask ``item``."""
        settings = self.settings_of(item)
        name = (settings.strategy, settings.library)
        if name not in self._opened:
            repository = await anyio.to_thread.run_sync(_own_library, Path(settings.library)) if item.library else None
            engine = Engine(settings, store=self.store, sandbox=self._sandbox, models=self._models)
            self._opened[name] = Arm(await self._stack.enter_async_context(engine), repository, self.told(settings))
        return self._opened[name]

    def about(self, item: Item, question: Question) -> None:
        """Take the script that misreads as much as ``item`` says: the same texts, whichever way it is asked."""
        if self.oracle:
            self._scripted.model = oracle_about(question, latency=self.latency, noise=item.noise, seed=item.seed)

    @property
    def _unusual_mutants(self) -> list[int]:
        """How many mutants are tried, unless it is as many as ever."""
        return [self._mutants] if self._mutants != MOST_MUTANTS else []

    def _library_of(self, item: Item) -> str:
        """Its folder: streams of different settings never share one."""
        settings = differing(self.told(replace(self.settings, strategy="auto")))
        digest = digest_of(self.model, item.noise, self.latency, self._shadow, settings, *self._unusual_mutants)
        return f"{item.library}-{digest[:8]}"


async def _whatever_happens(close: Callable[[], Awaitable[None]]) -> None:
    """Close it, even when the bench is being stopped."""
    with anyio.CancelScope(shield=True):
        await close()


def _own_library(folder: Path) -> Repository:
    """A library in a repository of its own, whatever repository the folder of the bench is in, and whoever runs it."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git = Git(folder)
        git.act("init", "-q")
        for name, value in (("user.name", "habit bench"), ("user.email", "bench@localhost")):
            git.act("config", "--local", name, value)
        for name in ("commit.gpgsign", "tag.gpgsign"):
            git.act("config", "--local", name, "false")
    return Repository.init(folder)


def _model_name(settings: Settings) -> str:
    """Root and leaf model in one word."""
    root, leaf = settings.model or "", settings.leaf_model
    return root if leaf in (None, root) else f"{root}+{leaf}"


def _versions(settings: Settings) -> dict[str, str]:
    """What was measured: Habit, Python, and the files of models that run here."""
    found = {"habit": __version__, "python": platform.python_version()}
    for field in ("model", "leaf_model"):
        name = getattr(settings, field)
        if name is None or not is_local(name):
            continue
        wanted = name.removeprefix("local").removeprefix(":") or DEFAULT
        model = find(wanted)
        if model is not None:
            known = KNOWN.get(model.name)
            digest = f" sha256:{known.sha256[:12]}" if known else ""
            found[f"{field}_file"] = f"{model.path.name} ({model.size:,} bytes{digest})"
    return found


def _without_user(url: str) -> str:
    """``url`` without what may be a secret in it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
