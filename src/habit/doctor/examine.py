"""The list of checks, and how long each may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from habit.config import Settings
from habit.doctor import machine
from habit.doctor.conversions import conversions
from habit.doctor.findings import Check, Finding, in_thread, run_checks
from habit.doctor.journal import look_at_journal
from habit.doctor.models import look_at_models
from habit.doctor.sandbox import backend, kernel, self_test, unavailable
from habit.errors import SandboxError
from habit.models import Models, NamedModels
from habit.sandbox.choose import open_sandbox
from habit.sandbox.session import Sandbox

_QUICK, _LONG = 10.0, 60.0
"""Seconds: for what only looks, and for what starts processes, asks a model or reads a large file."""


async def examine(
    settings: Settings,
    *,
    problem: str = "",
    online: bool | None = None,
    sandbox: Sandbox | None = None,
    models: Models | None = None,
    on_finding: Callable[[Finding], None] = lambda _: None,
) -> list[Finding]:
    """All findings, in a fixed order; ``on_finding`` hears of each as soon as it is known.

    ``problem`` says why the settings could not be read as they stand. ``online`` says whether models are asked; None
    asks those that were named and leaves the local model, which would have to be loaded, alone.
    """
    ask = settings.model is not None if online is None else online

    async def look_inside() -> Sequence[Finding]:
        taken, name = backend(settings.sandbox)
        if name is None:
            return [taken]
        tested = sandbox or open_sandbox(name)
        try:
            found = [await self_test(tested, name), unavailable(tested)]
        except SandboxError as error:
            found = [Finding("sandbox", "problem", str(error))]
        finally:
            with anyio.CancelScope(shield=True):
                await tested.aclose()
        return [taken, *(finding for finding in found if finding is not None)]

    async def look_at_named_models() -> Sequence[Finding]:
        named = models or NamedModels()
        try:
            return await look_at_models(settings, named, ask=ask)
        finally:
            with anyio.CancelScope(shield=True):
                await named.aclose()

    checks = [
        _quick("versions", machine.versions),
        _quick("extras", machine.extras),
        _quick("configuration", lambda: machine.configuration(problem)),
        _quick("terminal", machine.terminal),
        _quick("kernel", kernel),
        Check("sandbox", _LONG, look_inside),
        Check("model", _LONG, look_at_named_models),
        _quick("conversions", conversions),
        Check("journal", _LONG, lambda: in_thread(lambda: look_at_journal(settings))),
    ]
    return await run_checks(checks, on_finding)


def _quick(name: str, look: Callable[[], Finding]) -> Check:
    async def work() -> Sequence[Finding]:
        return [await in_thread(look)]

    return Check(name, _QUICK, work)
