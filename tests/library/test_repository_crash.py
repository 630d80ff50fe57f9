"""Several processes at once, and processes that are killed: the repository stays valid and nothing is half-approved."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from habit.errors import HabitError
from habit.library.objects import write_tree
from habit.library.repository import Repository
from habit.library.workplace import Refused, workplace
from support.libraries import a_habit, a_project, again, everything_uncommitted, git, is_sound, isolate

PROCESSES = 8


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Processes that have everything imported, so that they start at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["habit.library.repository", "support.libraries"])
    return context


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return a_project(tmp_path / "project")


def approve(folder: str, name: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    repository = Repository.open(folder)
    candidate = repository.candidate(name)
    repository.approve(candidate, candidate.tree)


def learn_and_approve(folder: str, name: str, more: str, environment: dict[str, str], outcome: str) -> None:
    """What one of several processes does; the outcome goes to a file."""
    os.environ.update(environment)
    try:
        repository = Repository.open(folder)
        candidate = repository.propose(a_habit(name, more))
        said = str(repository.approve(candidate, candidate.tree))
    except HabitError as problem:
        said = str(problem)
    Path(outcome).write_text(said)


def at_once(forks: ForkServerContext, project: Path, wanted: list[tuple[str, str]]) -> list[str]:
    environment = {name: os.environ[name] for name in ("HOME", "GIT_CONFIG_NOSYSTEM")}
    files = [project.parent / f"outcome-{index}" for index in range(len(wanted))]
    processes = [
        forks.Process(target=learn_and_approve, args=(str(project / "habits"), name, more, environment, str(file)))
        for (name, more), file in zip(wanted, files, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(wanted)
    return [file.read_text() for file in files]


def test_processes_that_learn_different_habits_at_once(forks: ForkServerContext, project: Path) -> None:
    (project / "README.md").write_text("Under way.\n")
    uncommitted = everything_uncommitted(project)[:2]
    names = [f"habit-{index}" for index in range(PROCESSES)]
    assert at_once(forks, project, [(name, "") for name in names]) == ["1"] * PROCESSES
    repository = Repository.open(project / "habits")
    assert [habit.label for habit in repository.habits()] == [f"{name}@1" for name in names]
    assert everything_uncommitted(project)[:2] == uncommitted
    assert is_sound(project)
    for name in names:
        assert git(project, "rev-parse", f"{name}@1^{{commit}}:habits/{name}") == git(
            project, "rev-parse", f"HEAD:habits/{name}"
        )


def test_processes_that_learn_the_same_habit_at_once(forks: ForkServerContext, project: Path) -> None:
    outcomes = at_once(forks, project, [("count-label", f"# {index}\n") for index in range(PROCESSES)])
    numbers = sorted(int(said) for said in outcomes if said.isdigit())
    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))
    for said in outcomes:
        assert said.isdigit() or "has changed since it was reviewed" in said or "has no candidate" in said
    repository = Repository.open(project / "habits")
    assert repository.get("count-label").version == numbers[-1]
    assert is_sound(project)


def test_what_a_process_that_died_left_is_cleared_away(tmp_path: Path) -> None:
    project = tmp_path / "new"
    project.mkdir()
    git(project, "init", "-q")
    here = Repository.init(project / "habits")
    manager = workplace(here.place, "", branch="habit/count-label")
    dead = manager.__enter__()  # and never leaves
    dead.put("count-label", write_tree(here.git, a_habit().files()))
    dead.commit(b"Propose")
    candidate = here.propose(again(a_habit(), "# two"))
    assert here.approve(candidate, candidate.tree) == 1
    assert not dead.git.folder.exists()
    assert is_sound(project)


def test_a_repository_cannot_name_a_folder_to_be_removed(project: Path, tmp_path: Path) -> None:
    Repository.init(project / "habits")
    mine = tmp_path / "habit-work-aaaaaaaa"
    mine.mkdir()
    (mine / "precious").write_text("mine")
    (mine / ".git").write_text(f"gitdir: {tmp_path}/other/.git/worktrees/habit-work-aaaaaaaa\n")
    entry = project / ".git/worktrees/habit-work-aaaaaaaa"
    entry.mkdir(parents=True)
    (entry / "gitdir").write_text(f"{mine}/.git\n")
    Repository.open(project / "habits")
    assert not entry.exists()
    assert (mine / "precious").read_text() == "mine"


def test_a_lock_that_a_killed_git_left_does_not_keep_anyone_from_reading(project: Path) -> None:
    here = Repository.init(project / "habits")
    candidate = here.propose(a_habit())
    here.approve(candidate, candidate.tree)
    candidate = here.propose(again(a_habit(), "# two"))
    note = {"name": "count-label", "tag": "count-label@1", "candidate": candidate.commit, "branch": "refs/heads/main"}
    here.local.write({**note, "commit": git(project, "rev-parse", "HEAD").strip()}, "approving")
    lock = project / ".git/refs/heads/habit/count-label.lock"
    lock.touch()
    assert [habit.label for habit in Repository.open(project / "habits").habits()] == ["count-label@1"]
    with pytest.raises(Refused, match=r"count-label\.lock': File exists"):
        here.reject("count-label")
    lock.unlink()
    assert Repository.open(project / "habits").candidates() == []


KILLER = """#!/bin/sh
n=$(($(cat "$COUNTER" 2>/dev/null || echo 0) + 1))
echo $n > "$COUNTER"
if [ $n -eq $AT ]; then kill -9 $PPID; exit 1; fi
PATH=$REAL_PATH exec git "$@"
"""


def test_killed_before_any_call_of_git_nothing_is_half_approved(
    forks: ForkServerContext, project: Path, tmp_path: Path
) -> None:
    template = Repository.init(project / "habits")
    first = template.propose(a_habit())
    template.approve(first, first.tree)
    template.propose(again(a_habit(), "# two"))
    (project / "README.md").write_text("Under way.\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(KILLER)
    (tmp_path / "bin/git").chmod(0o755)
    environment = {
        "HOME": os.environ["HOME"],
        "REAL_PATH": os.environ["PATH"],
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "COUNTER": str(tmp_path / "counter"),
        "TMPDIR": str(tmp_path / "temporary"),
    }
    (tmp_path / "temporary").mkdir()
    seen = set()
    for at in range(1, 100):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(project, copy, symlinks=True)
        Path(environment["COUNTER"]).write_text("0")
        args = (str(copy / "habits"), "count-label", {**environment, "AT": str(at)})
        process = forks.Process(target=approve, args=args)
        process.start()
        process.join(60)
        seen.add(state_after_a_crash(copy))
        if process.exitcode == 0:
            break
        assert process.exitcode == -9
    else:
        pytest.fail("it never came to its end")
    assert at > 15
    assert seen == {1, 2}


def state_after_a_crash(copy: Path) -> int:
    """The active version after a crash. The next command must work, whatever the state."""
    git(copy, "fsck", "--no-dangling")
    repository = Repository.open(copy / "habits")
    (habit,) = repository.habits()
    assert habit.version in (1, 2)
    tags = git(copy, "tag").split()
    assert tags == [f"count-label@{number}" for number in range(1, habit.version + 1)]
    assert habit.source.endswith("# two\n") == (habit.version == 2)
    assert git(copy, "status", "--porcelain") == " M README.md\n"
    if habit.version == 1:
        candidate = repository.candidate("count-label")
        assert repository.approve(candidate, candidate.tree) == 2
    candidate = repository.propose(again(a_habit(), "# three"))
    assert repository.approve(candidate, candidate.tree) == 3
    assert repository.candidates() == []
    assert is_sound(copy)
    assert (copy / "README.md").read_text() == "Under way.\n"
    return habit.version
