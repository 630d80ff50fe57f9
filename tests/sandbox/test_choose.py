"""The backend is picked openly, and refused with the way on."""

from __future__ import annotations

import pytest

from habit.errors import SandboxError, UsageError
from habit.sandbox import choose
from habit.sandbox.choose import open_sandbox, pick


@pytest.fixture
def no_seccomp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "supported", lambda: "This kernel has no seccomp")


@pytest.fixture
def seccomp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "supported", lambda: None)


def having_monty(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    monkeypatch.setattr(choose, "monty_is_installed", lambda: installed)


@pytest.mark.usefixtures("seccomp")
@pytest.mark.parametrize("installed", [True, False])
def test_auto_takes_cpython_where_it_can(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    having_monty(monkeypatch, installed)
    assert pick("auto") == pick("cpython") == ("cpython", "")
    assert open_sandbox().name == "cpython"


@pytest.mark.usefixtures("no_seccomp")
def test_auto_takes_monty_elsewhere_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    having_monty(monkeypatch, True)
    name, notice = pick("auto")
    assert name == "monty"
    assert "no seccomp" in notice
    assert "monty" in notice


@pytest.mark.usefixtures("no_seccomp")
@pytest.mark.parametrize("name", ["auto", "cpython"])
def test_what_is_not_to_be_had_is_refused_with_the_way_on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    having_monty(monkeypatch, False)
    with pytest.raises(SandboxError, match=r"no seccomp.*pip install 'habit\[monty\]'"):
        pick(name)


@pytest.mark.usefixtures("no_seccomp")
def test_cpython_is_never_replaced_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    having_monty(monkeypatch, True)
    with pytest.raises(SandboxError, match="--sandbox monty"):
        open_sandbox("cpython")


@pytest.mark.usefixtures("seccomp")
def test_monty_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    having_monty(monkeypatch, False)
    with pytest.raises(SandboxError, match="pip install"):
        open_sandbox("monty")


def test_another_name_is_refused() -> None:
    with pytest.raises(UsageError, match="--sandbox"):
        pick("docker")
