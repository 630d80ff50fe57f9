"""A library lives in a user's repository: his hooks, his signing and whatever he has under way go on as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from habit.errors import UsageError
from habit.library.git import Git, GitError
from habit.library.repository import Repository
from habit.library.workplace import Refused
from support.libraries import a_habit, a_project, again, everything_uncommitted, git, hook, is_sound, isolate


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(monkeypatch, tmp_path)
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return a_project(tmp_path / "project")


@pytest.fixture
def here(project: Path) -> Repository:
    return Repository.init(project / "habits")


def approve(here: Repository, name: str = "count-label") -> int:
    candidate = here.candidate(name)
    return here.approve(candidate, candidate.tree)


def refs(project: Path) -> str:
    return git(project, "for-each-ref") + git(project, "rev-parse", "HEAD")


# --- hooks -------------------------------------------------------------------------------------------------------


def test_hooks_see_the_whole_tree_and_may_accept(here: Repository, project: Path, tmp_path: Path) -> None:
    hook(
        project,
        "pre-commit",
        f'ls habits/*/scheduler.py src/main.py >> {tmp_path}/seen && git diff --cached --quiet -- "*.rst"',
    )
    hook(project, "commit-msg", 'echo "Change-Id: I1" >> "$1"')
    here.propose(a_habit())
    assert approve(here) == 1
    assert (tmp_path / "seen").read_text() == "habits/count-label/scheduler.py\nsrc/main.py\n" * 2
    assert "Change-Id: I1" in git(project, "log", "-1", "--format=%B")
    assert "Change-Id: I1" in git(project, "log", "-1", "--format=%B", "HEAD^2")
    hook(project, "pre-commit", "exit 0")
    hook(project, "commit-msg", 'printf "\\nSigned-off-by: A\\n" >> "$1"')
    here.retire("count-label")
    assert [entry.what for entry in here.log("count-label")] == ["retired", "approved"]


@pytest.mark.parametrize("name", ["pre-commit", "commit-msg", "prepare-commit-msg"])
def test_a_hook_that_refuses_has_the_last_word(here: Repository, project: Path, name: str) -> None:
    before = refs(project)
    hook(project, name, "echo 'No commits on Fridays:' >&2; echo 'ask Grace.' >&2; exit 1")
    with pytest.raises(Refused, match=r"No commits on Fridays: ask Grace\."):
        here.propose(a_habit())
    assert refs(project) == before
    hook(project, name, "exit 0")
    here.propose(a_habit())
    before = refs(project)
    hook(project, name, "echo 'Not this one.' >&2; exit 1")
    for change in (lambda: approve(here), lambda: approve(here)):
        with pytest.raises(Refused, match=r"Not this one\."):
            change()
    assert refs(project) == before
    assert is_sound(project)
    hook(project, name, "exit 0")
    assert approve(here) == 1
    hook(project, name, "echo 'Not this one.' >&2; exit 1")
    for change in (lambda: here.retire("count-label"),):
        with pytest.raises(Refused, match=r"Not this one\."):
            change()
    assert [habit.label for habit in here.habits()] == ["count-label@1"]


def test_a_merge_hook_that_fails_afterwards_changes_nothing(here: Repository, project: Path, tmp_path: Path) -> None:
    hook(project, "post-merge", f"touch {tmp_path}/merged; exit 1")
    here.propose(a_habit())
    assert approve(here) == 1
    assert (tmp_path / "merged").exists()


def test_refs_can_be_guarded_by_a_hook(here: Repository, project: Path) -> None:
    here.propose(a_habit())
    before = refs(project)
    hook(
        project,
        "reference-transaction",
        'grep -q refs/heads/main && [ "$1" = prepared ] && echo Frozen. >&2 && exit 1; exit 0',
    )
    with pytest.raises(Refused, match=r"Frozen\."):
        approve(here)
    assert refs(project) == before
    assert is_sound(project)


@pytest.mark.parametrize("where", [".githooks", "/absolute"])
def test_hooks_kept_elsewhere_run_even_when_git_ignores_them(
    here: Repository, project: Path, tmp_path: Path, where: str
) -> None:
    folder = project / where if where != "/absolute" else tmp_path / "hooks"
    git(project, "config", "core.hooksPath", where if where != "/absolute" else str(folder))
    (project / ".gitignore").write_text(".githooks\n")
    git(project, "add", ".gitignore")
    git(project, "commit", "-qm", "Ignore")
    hook(project, "pre-commit", "echo 'From elsewhere.' >&2; exit 1")
    with pytest.raises(Refused, match=r"From elsewhere\."):
        here.propose(a_habit())


def test_a_hook_that_changes_what_was_reviewed_is_found_out(here: Repository, project: Path) -> None:
    here.propose(a_habit())
    before = refs(project)
    hook(project, "pre-commit", "echo '# tidy' >> habits/count-label/scheduler.py; git add habits")
    with pytest.raises(Refused, match="A hook changed habits/count-label"):
        approve(here)
    hook(project, "pre-commit", "echo more >> README.md; git add README.md")
    with pytest.raises(Refused, match=r"A hook changed README\.md"):
        approve(here)
    assert refs(project) == before
    assert (project / "README.md").read_text() == "A project.\n"


def test_a_library_from_elsewhere_brings_no_hooks(here: Repository, project: Path, tmp_path: Path) -> None:
    hook(project, "pre-commit", f"touch {tmp_path}/ran; exit 0")
    here.propose(a_habit())
    approve(here)
    (tmp_path / "ran").unlink()
    git(tmp_path, "clone", "-q", str(project), "clone")
    there = Repository.open(tmp_path / "clone/habits")
    there.propose(again(a_habit(), "# two"))
    approve(there)
    assert not (tmp_path / "ran").exists()


# --- signing and identity ----------------------------------------------------------------------------------------


def test_commits_and_tags_are_signed_where_the_user_signs(here: Repository, project: Path, home: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    import subprocess

    key = home / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (home / "allowed").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    for name, value in (
        ("gpg.format", "ssh"),
        ("user.signingKey", str(key)),
        ("gpg.ssh.allowedSignersFile", str(home / "allowed")),
        ("commit.gpgSign", "true"),
        ("tag.gpgSign", "true"),
    ):
        git(project, "config", name, value)
    here.propose(a_habit())
    assert approve(here) == 1
    for commit in ("HEAD", "HEAD^2"):
        git(project, "verify-commit", commit)
    git(project, "verify-tag", "count-label@1")
    assert [habit.label for habit in here.habits()] == ["count-label@1"]
    here.propose(again(a_habit(), "# two"))
    here.reject("count-label", "not now")
    assert [entry.details for entry in here.log("count-label") if entry.what == "rejected"] == ["not now"]


def test_a_signature_that_fails_stops_everything(here: Repository, project: Path, tmp_path: Path) -> None:
    here.propose(a_habit())
    before = refs(project)
    (tmp_path / "gpg").write_text("#!/bin/sh\necho 'The key has expired.' >&2\nexit 1\n")
    (tmp_path / "gpg").chmod(0o755)
    git(project, "config", "gpg.program", str(tmp_path / "gpg"))
    for setting in ("tag.gpgSign", "commit.gpgSign"):
        git(project, "config", setting, "true")
        with pytest.raises(Refused, match="failed to sign the data"):
            approve(here)
        assert refs(project) == before
        assert is_sound(project)


def test_without_an_identity_git_says_what_to_do(here: Repository, project: Path, home: Path) -> None:
    (home / ".gitconfig").write_text("[user]\nuseConfigOnly = true\n")
    with pytest.raises(Refused, match=r'git config --global user\.email "you@example\.com"'):
        here.propose(a_habit())


# --- a dirty tree ------------------------------------------------------------------------------------------------


def make_dirty(project: Path) -> None:
    (project / "README.md").write_text("Staged.\n")
    git(project, "add", "README.md")
    (project / "README.md").write_bytes(b"Staged, then\r\nedited \xff.")
    (project / "src/main.py").unlink()
    (project / "staged.bin").write_bytes(bytes(range(256)))
    git(project, "add", "staged.bin")
    (project / "untracked.txt").write_text("mine")
    (project / "habits").mkdir(exist_ok=True)
    (project / "habits/notes.txt").write_text("mine too")


def test_what_the_user_has_under_way_survives_every_change(here: Repository, project: Path) -> None:
    make_dirty(project)
    index, unstaged, files = everything_uncommitted(project)

    def is_as_it_was() -> bool:
        now = everything_uncommitted(project)
        kept = {path: content for path, content in now[2].items() if not path.startswith("habits/count-label/")}
        return (now[0], now[1], kept) == (index, unstaged, files)

    here.propose(a_habit())
    assert is_as_it_was()
    approve(here)
    assert is_as_it_was()
    here.propose(again(a_habit(), "# two"))
    here.reject("count-label")
    here.propose(again(a_habit(), "# three"))
    approve(here)
    here.rollback("count-label", 1)
    assert is_as_it_was()
    here.retire("count-label")
    assert everything_uncommitted(project) == (index, unstaged, files)
    assert is_sound(project)


@pytest.mark.parametrize("state", ["unstaged", "staged", "untracked", "removed", "partly staged"])
def test_edits_in_the_way_are_never_overwritten(here: Repository, project: Path, state: str) -> None:
    here.propose(a_habit())
    approve(here)
    here.propose(again(a_habit(), "# two") if state != "untracked" else a_habit("other"))
    file = project / "habits/count-label/scheduler.py"
    match state:
        case "untracked":
            file = project / "habits/other/scheduler.py"
            file.parent.mkdir()
            file.write_text("mine\n")
        case "removed":
            file.unlink()
        case _:
            file.write_text("mine\n")
            if state != "unstaged":
                git(project, "add", str(file))
            if state == "partly staged":
                file.write_text(again(a_habit(), "# two").source)
    before, uncommitted = refs(project), everything_uncommitted(project)
    name = "other" if state == "untracked" else "count-label"
    with pytest.raises(Refused, match=r"habits/.* has changes of yours .* commit, stash or restore"):
        approve(here, name)
    assert (refs(project), everything_uncommitted(project)) == (before, uncommitted)
    if state not in ("untracked", "removed"):  # what is removed is in nobody's way there
        with pytest.raises(Refused, match=r"commit, stash or restore|Your work tree could not take"):
            here.retire("count-label")
    assert (refs(project), everything_uncommitted(project)) == (before, uncommitted)


def test_edits_that_are_what_lands_may_stay(here: Repository, project: Path) -> None:
    here.propose(a_habit())
    approve(here)
    here.propose(again(a_habit(), "# two"))
    approve(here)
    (project / "habits/count-label/scheduler.py").write_text(a_habit().source)  # as in version 1
    (project / "habits/count-label/SKILL.md").write_text("mine\n")  # the same in both versions, edited here
    files = everything_uncommitted(project)[2]
    hook(project, "reference-transaction", '[ "$1" = prepared ] && echo Frozen. >&2 && exit 1; exit 0')
    before = everything_uncommitted(project)
    with pytest.raises(Refused, match=r"Frozen\."):
        here.rollback("count-label", 1)
    assert everything_uncommitted(project) == before
    hook(project, "reference-transaction", "exit 0")
    here.rollback("count-label", 1)
    assert everything_uncommitted(project)[2] == files
    assert git(project, "status", "--porcelain") == " M habits/count-label/SKILL.md\n"


def test_edits_that_are_staged_and_are_what_lands_may_stay(here: Repository, project: Path) -> None:
    here.propose(a_habit())
    approve(here)
    here.propose(again(a_habit(), "# two"))
    (project / "habits/count-label/scheduler.py").write_text(again(a_habit(), "# two").source)
    git(project, "add", "habits")
    assert approve(here) == 2
    assert git(project, "status", "--porcelain") == ""


def test_files_that_git_ignores_are_not_overwritten(here: Repository, project: Path) -> None:
    (project / ".git/info/exclude").write_text("habits/\n")
    (project / "habits/count-label").mkdir()
    (project / "habits/count-label/scheduler.py").write_text("mine\n")
    here.propose(a_habit())
    with pytest.raises(Refused, match=r"habits/count-label/scheduler\.py"):
        approve(here)
    assert (project / "habits/count-label/scheduler.py").read_text() == "mine\n"
    (project / "habits/count-label/scheduler.py").unlink()
    assert approve(here) == 1


def test_an_unfinished_merge_of_the_user_is_left_to_him(here: Repository, project: Path) -> None:
    git(project, "checkout", "-q", "-b", "side")
    (project / "README.md").write_text("One\n")
    git(project, "commit", "-qam", "One")
    git(project, "checkout", "-q", "main")
    (project / "README.md").write_text("Two\n")
    git(project, "commit", "-qam", "Two")
    with pytest.raises(AssertionError):
        git(project, "merge", "side")
    here.propose(a_habit())
    before, uncommitted = refs(project), (project / "README.md").read_bytes()
    with pytest.raises(Refused, match="merge"):
        approve(here)
    assert (refs(project), (project / "README.md").read_bytes()) == (before, uncommitted)
    assert (project / ".git/MERGE_HEAD").exists()


def test_settings_that_would_touch_the_tree_are_kept_out(here: Repository, project: Path) -> None:
    for name, value in (
        ("merge.autoStash", "true"),
        ("merge.ff", "only"),
        ("commit.cleanup", "scissors"),
        ("commit.verbose", "true"),
        ("core.editor", "false"),
        ("core.autocrlf", "true"),
        ("diff.external", "false"),
        ("color.ui", "always"),
        ("core.pager", "false"),
        ("status.relativePaths", "false"),
        ("status.showUntrackedFiles", "no"),
        ("core.quotePath", "true"),
        ("commit.template", "/nowhere"),
        ("tag.sort", "-refname"),
    ):
        git(project, "config", name, value)
    make_dirty(project)
    before = everything_uncommitted(project)[0]
    here.propose(a_habit())
    approve(here)
    here.propose(again(a_habit(), "# two"))
    assert here.diff("count-label").startswith("diff --git a/")
    assert "\x1b" not in here.diff("count-label")
    approve(here)
    assert everything_uncommitted(project)[0] == before
    assert [habit.label for habit in here.habits()] == ["count-label@2"]


def test_filters_do_not_change_what_is_kept(here: Repository, project: Path) -> None:
    (project / ".gitattributes").write_text("*.json filter=upper\n*.py text eol=crlf\n")
    git(project, "config", "filter.upper.clean", "tr a-z A-Z")
    git(project, "config", "filter.upper.smudge", "tr A-Z a-z")
    git(project, "add", ".gitattributes")
    git(project, "commit", "-qm", "Filter")
    here.propose(a_habit())
    approve(here)
    assert here.get("count-label").files() == a_habit().files()


# --- git itself --------------------------------------------------------------------------------------------------


def test_git_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs git: install it"):
        Repository.open(tmp_path)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="There is no folder"):
        Git(tmp_path / "nowhere").read("status")


def test_git_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("habit.library.git.READ_SECONDS", 0.1)
    with pytest.raises(GitError, match="took longer than"):
        Git(tmp_path).read("status")


def test_an_answer_of_no_is_not_an_error(project: Path) -> None:
    assert not Git(project).holds("diff", "--quiet", "HEAD", "4b825dc642cb6eb9a060e54bf8d69288fbee4904")
    with pytest.raises(GitError, match=r"bad|unknown|ambiguous"):
        Git(project).holds("diff", "--quiet", "HEAD", "nothing-such")
