"""A library in real git: what is active, what is refused, and what history keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from habit.errors import UsageError
from habit.library.habit import Habit
from habit.library.repository import Repository
from support.libraries import a_habit, a_project, again, git, is_sound, isolate


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture(params=["subfolder", "root", "of its own", "deep", "worktree"])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Repository:
    """A library in each of the places where it can lie."""
    match request.param:
        case "subfolder":
            return Repository.init(a_project(tmp_path / "project") / "habits")
        case "root":
            return Repository.init(a_project(tmp_path / "project"))
        case "deep":
            return Repository.init(a_project(tmp_path / "pro ject é") / "a b" / "[x]*" / "-h")
        case "worktree":
            git(a_project(tmp_path / "project"), "worktree", "add", "-q", "-b", "feature", str(tmp_path / "other"))
            return Repository.init(tmp_path / "other" / "habits")
    return Repository.init(tmp_path / "habits")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return a_project(tmp_path / "project")


@pytest.fixture
def here(project: Path) -> Repository:
    """A library in the folder habits of a project."""
    return Repository.init(project / "habits")


def approved(repository: Repository, habit: Habit) -> int:
    candidate = repository.propose(habit)
    return repository.approve(candidate, candidate.tree)


def active(repository: Repository) -> list[str]:
    return [habit.label for habit in repository.habits()]


def test_the_life_of_a_habit(library: Repository) -> None:
    habit = a_habit()
    candidate = library.propose(habit, {"Habit-Note": "from a test\nHabit-Tree: 0"})
    assert [one.name for one in library.candidates()] == ["count-label"]
    assert active(library) == []
    with pytest.raises(UsageError, match="waits for: habit review count-label"):
        library.get("count-label")

    assert library.approve(candidate, candidate.tree) == 1
    assert active(library) == ["count-label@1"]
    assert library.candidates() == []
    assert library.get("count-label").files() == habit.files()
    assert library.place.on_disk("count-label").joinpath("scheduler.py").read_text() == habit.source

    assert approved(library, again(habit, "# two")) == 2
    assert "+# two" in library.diff("count-label", 1, 2)
    library.rollback("count-label", 1, "two is worse")
    assert active(library) == ["count-label@1"]
    assert library.get("count-label", 2).source.endswith("# two\n")
    library.retire("count-label")
    assert active(library) == []
    with pytest.raises(UsageError, match="retired; to bring it back: habit rollback count-label 2"):
        library.get("count-label")
    library.rollback("count-label", 2)
    assert active(library) == ["count-label@2"]
    library.propose(again(habit, "# three"))
    assert "-# two\n+# three" in library.diff("count-label")
    library.reject("count-label", "no need")
    assert library.candidates() == []
    assert approved(library, again(habit, "# three")) == 3

    told = [(entry.what, entry.version, entry.details) for entry in library.log("count-label")]
    assert ("rejected", None, "no need") in told
    assert [one for one in told if one[0] != "rejected"] == [
        ("approved", 3, "run run-1, mock:model"),
        ("rolled back", 2, ""),
        ("retired", 1, ""),
        ("rolled back", 1, "two is worse"),
        ("approved", 2, "run run-1, mock:model"),
        ("approved", 1, "run run-1, mock:model"),
    ]
    assert git(library.git.folder, "status", "--porcelain") == ""
    assert library.warnings() == []


def test_what_a_version_says_of_itself(here: Repository, project: Path) -> None:
    approved(here, a_habit())
    for said in (git(project, "log", "-1", "--format=%B"), git(project, "tag", "-l", "--format=%(contents)")):
        trailers = said.strip().split("\n\n")[-1].splitlines()
        assert trailers[0] == "Habit-Approved: count-label@1"
        assert trailers[1].startswith("Habit-Tree: ")
        assert trailers[2:5] == ["Habit-Run: run-1", "Habit-Model: mock:model", "Habit-Learned: 2026-11-24T12:00:00Z"]
        assert trailers[5] == f"Habit-Context: {'ab' * 32}"
        assert trailers[6] == "Approved-by: Ada Lovelace <ada@example.org>"
    assert git(project, "log", "-1", "--format=%P").count(" ") == 1
    assert git(project, "show", "HEAD:habits/count-label/scheduler.py") == a_habit().source


def test_making_a_library_twice_is_making_it_once(tmp_path: Path) -> None:
    approved(Repository.init(tmp_path / "habits"), a_habit())
    assert active(Repository.init(tmp_path / "habits")) == ["count-label@1"]
    assert Repository.find(tmp_path / "none") is None
    (tmp_path / "plain").mkdir()
    assert Repository.find(tmp_path / "plain") is None
    with pytest.raises(UsageError, match="make one with habit init"):
        Repository.open(tmp_path / "plain")


def test_a_repository_without_commits(tmp_path: Path) -> None:
    project = tmp_path / "new"
    project.mkdir()
    git(project, "init", "-q")
    (project / "mine.txt").write_text("mine")
    git(project, "add", "mine.txt")
    (project / "other.txt").write_text("other")
    here = Repository.init(project / "habits")
    assert (here.habits(), here.standings(), here.candidates(), here.warnings()) == ([], [], [], [])
    candidate = here.propose(a_habit())
    assert here.propose(again(a_habit(), "# more")).commit != candidate.commit
    here.propose(a_habit("second"))
    for name in ("count-label", "second"):
        assert here.approve(here.candidate(name), here.candidate(name).tree) == 1
    assert active(here) == ["count-label@1", "second@1"]
    assert git(project, "status", "--porcelain") == "A  mine.txt\n?? other.txt\n"
    assert is_sound(project)


def test_a_detached_head_can_learn_and_read_but_not_approve(here: Repository, project: Path) -> None:
    approved(here, a_habit())
    git(project, "checkout", "-q", "--detach")
    candidate = here.propose(again(a_habit(), "# two"))
    before = git(project, "for-each-ref")
    for change in (
        lambda: here.approve(candidate, candidate.tree),
        lambda: here.retire("count-label"),
    ):
        with pytest.raises(UsageError, match="git switch BRANCH first"):
            change()
    assert git(project, "for-each-ref") == before
    assert active(here) == ["count-label@1"]


def test_approval_follows_the_contents_through_a_squash(here: Repository, project: Path) -> None:
    git(project, "checkout", "-q", "-b", "work")
    approved(here, a_habit())
    git(project, "checkout", "-q", "main")
    assert active(here) == []
    git(project, "merge", "-q", "--squash", "work")
    git(project, "commit", "-qm", "Everything at once")
    assert active(here) == ["count-label@1"]


def test_a_candidate_merged_by_others_is_approved_where_it_is(here: Repository, project: Path) -> None:
    here.propose(a_habit())
    git(project, "merge", "-q", "--no-edit", "habit/count-label")
    assert active(here) == []
    assert "never approved" in here.warnings()[0]
    candidate = here.candidate("count-label")
    assert here.approve(candidate, candidate.tree) == 1
    assert active(here) == ["count-label@1"]


@pytest.mark.parametrize("committed", [True, False])
def test_an_edit_by_hand_is_never_run_in_silence(here: Repository, project: Path, committed: bool) -> None:
    approved(here, a_habit())
    path = project / "habits/count-label/scheduler.py"
    path.write_text(path.read_text() + "# by hand\n")
    if committed:
        git(project, "commit", "-qam", "Mend")
    assert active(here) == ([] if committed else ["count-label@1"])
    assert all("by hand" not in habit.source for habit in here.habits())
    (said,) = here.warnings()
    assert said.endswith("habit review count-label")
    candidate = here.take_up("count-label")
    assert candidate.habit.source.endswith("# by hand\n")
    assert here.approve(candidate, candidate.tree) == 2
    assert active(here) == ["count-label@2"]
    assert here.warnings() == []
    assert git(project, "status", "--porcelain") == ""


def test_a_new_folder_made_by_hand_is_taken_up(here: Repository, project: Path) -> None:
    for path, content in a_habit("made-by-hand").files().items():
        (project / "habits/made-by-hand" / path).parent.mkdir(parents=True, exist_ok=True)
        (project / "habits/made-by-hand" / path).write_bytes(content)
    assert here.warnings() == [
        "habits/made-by-hand has edits that are not approved and not run; to take them up: habit review made-by-hand"
    ]
    candidate = here.take_up("made-by-hand")
    assert here.approve(candidate, candidate.tree) == 1
    assert git(project, "status", "--porcelain") == ""


def test_only_what_was_reviewed_is_approved(here: Repository) -> None:
    approved(here, a_habit())
    seen = here.propose(again(a_habit(), "# two"))
    here.propose(again(a_habit(), "# two, and something else"))
    with pytest.raises(UsageError, match="has changed since it was reviewed"):
        here.approve(seen, seen.tree)
    with pytest.raises(UsageError, match="has changed since it was reviewed"):
        here.approve(here.candidate("count-label"), seen.tree)
    assert active(here) == ["count-label@1"]


def test_what_it_replaces_must_be_what_was_compared_with(here: Repository) -> None:
    approved(here, a_habit())
    approved(here, again(a_habit(), "# two"))
    seen = here.propose(again(a_habit(), "# three"))
    here.rollback("count-label", 1)
    with pytest.raises(UsageError, match="has changed since it was reviewed"):
        here.approve(seen, seen.tree)


def test_a_candidate_changes_its_habit_and_nothing_else(here: Repository, project: Path) -> None:
    here.propose(a_habit())
    git(project, "checkout", "-q", "habit/count-label")
    with pytest.raises(UsageError, match=r"candidate's branch is checked out|is checked out in"):
        here.approve(here.candidate("count-label"), here.candidate("count-label").tree)
    with pytest.raises(UsageError, match="is checked out in"):
        here.propose(again(a_habit(), "# two"))
    (project / "src/main.py").write_text("import os\n")
    git(project, "commit", "-qam", "Add a surprise")
    git(project, "checkout", "-q", "main")
    candidate = here.candidate("count-label")
    with pytest.raises(UsageError, match=r"also changes src/main\.py"):
        here.approve(candidate, candidate.tree)


def test_a_candidate_from_an_older_main_brings_nothing_back(here: Repository, project: Path) -> None:
    candidate = here.propose(a_habit())
    (project / "src/main.py").write_text("print(2)\n")
    (project / "README.md").unlink()
    git(project, "commit", "-qam", "Go on")
    approved(here, a_habit("other"))
    here.approve(candidate, candidate.tree)
    assert (project / "src/main.py").read_text() == "print(2)\n"
    assert not (project / "README.md").exists()
    assert active(here) == ["count-label@1", "other@1"]


def test_what_is_approved_already_is_no_candidate(here: Repository) -> None:
    approved(here, a_habit())
    with pytest.raises(UsageError, match="exactly count-label@1"):
        here.propose(a_habit())
    with pytest.raises(UsageError, match="exactly count-label@1"):
        here.take_up("count-label")
    first = here.propose(again(a_habit(), "# two"))
    assert here.propose(again(a_habit(), "# two")) == first


def test_a_suspended_version_is_not_used_until_someone_says_so(here: Repository) -> None:
    approved(here, a_habit())
    here.suspend("count-label", "2 of 5 shadows disagreed")
    assert active(here) == []
    assert active(Repository.open(here.place.git.folder / "habits")) == []
    assert here.warnings() == [
        "count-label@1 is suspended (2 of 5 shadows disagreed); to use it again: habit rollback count-label 1"
    ]
    with pytest.raises(UsageError, match="is suspended"):
        here.get("count-label")
    here.rollback("count-label", 1)
    assert active(here) == ["count-label@1"]
    here.suspend("count-label", "again")
    approved(here, again(a_habit(), "# two"))
    assert active(here) == ["count-label@2"]


def test_a_suspension_is_of_a_version_and_not_of_a_name(here: Repository, project: Path) -> None:
    approved(here, a_habit())
    approved(here, again(a_habit(), "# two"))
    here.suspend("count-label", "wrong")
    git(project, "checkout", "-q", "count-label@1")
    assert active(here) == ["count-label@1"]
    git(project, "checkout", "-q", "main")
    assert active(here) == []


def test_a_light_tag_on_an_approval_is_no_version(here: Repository, project: Path) -> None:
    approved(here, a_habit())
    git(project, "tag", "count-label@2")
    assert [version.number for version in here.refs().of("count-label")] == [1]
    assert approved(here, again(a_habit(), "# three")) == 3


def test_a_branch_called_habit_is_in_the_way(here: Repository, project: Path) -> None:
    git(project, "branch", "habit")
    with pytest.raises(UsageError, match="git branch -m habit OTHER"):
        here.propose(a_habit())


def test_tags_that_do_not_vouch(here: Repository, project: Path) -> None:
    for path, content in a_habit().files().items():
        (project / "habits/count-label" / path).parent.mkdir(parents=True, exist_ok=True)
        (project / "habits/count-label" / path).write_bytes(content)
    git(project, "add", ".")
    git(project, "commit", "-qm", "Put it there")
    tree = git(project, "rev-parse", "HEAD:habits/count-label").strip()
    git(project, "tag", "count-label@1")
    git(project, "tag", "-am", "Fine", "count-label@2")
    git(project, "tag", "-am", f"Other\n\nHabit-Tree: {tree}", "other-name@1")
    git(project, "tag", "-am", f"Odd\n\nHabit-Tree: {tree}", "count-label@0")
    git(project, "tag", "-am", f"Odd\n\nHabit-Tree: {tree}", "count-label@01")
    git(project, "tag", "-am", f"Within a text\n\nHabit-Tree: {tree}\nis the tree", "count-label@3")
    git(project, "tag", "-am", "Odd\n\nHabit-Tree: --help", "count-label@4")
    assert active(here) == []
    candidate = here.take_up("count-label")
    assert here.approve(candidate, candidate.tree) == 5
    assert active(here) == ["count-label@5"]


@pytest.mark.parametrize("name", ["-rf", "../up", "a/b", "A", "", "x" * 65, "a.lock", "a..b", "HEAD", "a\nb"])
def test_odd_names_reach_neither_git_nor_a_path(here: Repository, project: Path, name: str) -> None:
    before = git(project, "for-each-ref")
    for use in (here.get, here.candidate, here.take_up, here.retire, here.reject, here.log, here.diff):
        with pytest.raises(UsageError):
            use(name)
    with pytest.raises(UsageError):
        here.rollback(name, 1)
    with pytest.raises(UsageError):
        here.suspend(name, "x")
    assert git(project, "for-each-ref") == before


def put(project: Path, path: str, kind: str) -> None:
    """Commit an odd thing in the place of a habit's file, and vouch for it."""
    target = project / path
    git(project, "rm", "-q", "-r", "--cached", "--ignore-unmatch", path)
    head = git(project, "rev-parse", "HEAD").strip()
    if kind == "submodule":
        git(project, "update-index", "--add", "--cacheinfo", f"160000,{head},{path}")
    else:
        target.unlink(missing_ok=True)
        target.symlink_to("/etc/passwd")
        git(project, "add", path)
    git(project, "commit", "-qm", "Odd")
    tree = git(project, "rev-parse", "HEAD:habits/count-label").strip()
    git(project, "tag", "-am", f"Odd\n\nHabit-Tree: {tree}", "count-label@9")


@pytest.mark.parametrize("kind", ["link", "submodule"])
@pytest.mark.parametrize("path", ["scheduler.py", "cases/second.json"])
def test_links_and_submodules_are_not_followed(here: Repository, project: Path, kind: str, path: str) -> None:
    approved(here, a_habit())
    put(project, f"habits/count-label/{path}", kind)
    (standing,) = here.standings()
    assert (standing.state, standing.habit) == ("broken", None)
    assert standing.says == f"count-label can't be used: {path} is a link or another repository, not a file."
    with pytest.raises(UsageError, match="link or another repository"):
        here.get("count-label", 9)


def test_links_in_the_work_tree_are_not_followed(here: Repository, project: Path) -> None:
    approved(here, a_habit())
    (project / "habits/count-label/cases/second.json").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match=r"cases/second\.json is a link"):
        here.take_up("count-label")
    (project / "habits/count-label/cases/second.json").unlink()
    (project / "habits/count-label/more").symlink_to("/etc")
    with pytest.raises(UsageError, match="more is a link"):
        here.take_up("count-label")


def test_a_folder_that_says_it_is_another_habit_is_not_used(here: Repository, project: Path) -> None:
    approved(here, a_habit())
    git(project, "mv", "habits/count-label", "habits/other")
    git(project, "commit", "-qm", "Rename")
    tree = git(project, "rev-parse", "HEAD:habits/other").strip()
    git(project, "tag", "-am", f"Odd\n\nHabit-Tree: {tree}", "other@1")
    (standing,) = here.standings()
    assert standing.state == "broken"
    assert standing.says == "other@1/habit.toml says that it is count-label: rename the folder or the habit."
    with pytest.raises(UsageError, match="rename the folder"):
        here.take_up("other")


def test_branches_that_hold_no_habit_are_said(here: Repository, project: Path) -> None:
    git(project, "branch", "habit/empty")
    git(project, "branch", "habit/NOT-A-NAME")
    here.propose(a_habit())
    assert [one.name for one in here.candidates()] == ["count-label"]
    (said,) = here.unreadable()
    assert said.endswith("git branch -D habit/empty")
    with pytest.raises(UsageError, match="git branch -D habit/empty"):
        here.candidate("empty")
    with pytest.raises(UsageError, match="waiting are: count-label, empty"):
        here.candidate("NOT-A-NAME")


def test_other_folders_may_lie_beside_habits(tmp_path: Path) -> None:
    here = Repository.init(a_project(tmp_path / "project"))
    approved(here, a_habit())
    (tmp_path / "project/notes.txt").write_text("x")
    assert active(here) == ["count-label@1"]
    assert here.warnings() == []


def test_folders_that_can_be_no_library(tmp_path: Path, project: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    for folder, says in (
        (tmp_path / "bare.git", "bare repository"),
        (project / ".git" / "x", "bare repository or in .git"),
        (project / "README.md", "is a file"),
        (project / "a\nb", "line break"),
    ):
        with pytest.raises(UsageError, match=says):
            Repository.open(folder)
        with pytest.raises(UsageError, match=says):
            Repository.init(folder)


def test_a_clone_has_what_was_approved(here: Repository, project: Path, tmp_path: Path) -> None:
    approved(here, a_habit())
    here.propose(again(a_habit(), "# two"))
    git(tmp_path, "clone", "-q", str(project), "clone")
    there = Repository.open(tmp_path / "clone/habits")
    assert active(there) == ["count-label@1"]
    assert [entry.what for entry in there.log("count-label")] == ["approved"]
    way_on = "git branch habit/count-label origin/habit/count-label"
    for look in (there.candidate, there.take_up):
        with pytest.raises(UsageError, match=way_on):
            look("count-label")
    git(tmp_path / "clone", *way_on.split()[1:])
    candidate = there.candidate("count-label")
    assert there.approve(candidate, candidate.tree) == 2
    assert active(there) == ["count-label@2"]
    with pytest.raises(UsageError, match="no candidate to review"):
        there.candidate("count-label")


def test_variables_of_another_repository_lead_nowhere(
    here: Repository, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = a_project(tmp_path / "other")
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.setenv(name, str(other / ".git"))
    approved(here, a_habit())
    monkeypatch.undo()
    assert "count-label@1" in git(project, "tag")
    assert git(other, "tag") == ""


def test_sha256_repositories(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", "project")
    here = Repository.init(tmp_path / "project/habits")
    approved(here, a_habit())
    approved(here, again(a_habit(), "# two"))
    assert active(here) == ["count-label@2"]
