"""What changes a library. Each change is made aside, as a commit in a temporary work tree, and then lands at once.

One process at a time (a lock); refs move only from where they were seen (compare and swap); and an approval notes down
what it is about to do, so that after a crash the next command undoes or completes it. The user's work tree changes only
where a commit lands in it, as ``git merge --ff-only`` does it: never over anything he has not committed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

from habit.errors import UsageError
from habit.library.git import Git, GitError
from habit.library.habit import SKILL_FILE, Habit
from habit.library.landing import edits, files_on_disk, land
from habit.library.local import Busy, LocalState
from habit.library.messages import (
    APPROVED,
    CANDIDATE,
    REASON,
    REJECTED,
    RETIRED,
    ROLLED_BACK,
    TREE,
    Trailer,
    extra_trailers,
    message,
    provenance_trailers,
)
from habit.library.objects import empty_tree, folder, read_files, tree_at, write_tree
from habit.library.place import Place
from habit.library.versions import BRANCHES, Branch, Version, is_name, read_refs
from habit.library.workplace import Refused, clear_away, leftovers, workplace

_UNFINISHED = "approving"
NO_OBJECT = ""


@contextlib.contextmanager
def at_work(place: Place, local: LocalState, *, wait: bool = True) -> Iterator[None]:
    """The lock, with what processes that died have left cleared away."""
    with local.locked(wait=wait):
        clear_away(place)
        _finish(place, local)
        yield


def propose(place: Place, local: LocalState, habit: Habit, trailers: Mapping[str, str]) -> None:
    """Put ``habit`` on the branch of its candidate."""
    with at_work(place, local):
        tree = write_tree(place.git, habit.files())
        extra = [*provenance_trailers(habit.spec.provenance), *extra_trailers(trailers)]
        _propose(place, habit.name, tree, extra)


def take_up(place: Place, local: LocalState, name: str) -> None:
    """Make a candidate of what lies in the work tree, else of what HEAD holds and no tag vouches for."""
    if not is_name(name):
        raise UsageError(f"{name!r} is no name of a habit.")
    with at_work(place, local):
        where = place.path(name)
        if any(path.startswith(f"{where}/") for path in edits(place)):
            files = files_on_disk(place, name)
            habit = Habit.from_files(files, where=where)
            files[SKILL_FILE] = habit.files()[SKILL_FILE]
            tree = write_tree(place.git, files)
        else:
            tree = tree_at(place.git, "HEAD", where)
            if not tree:
                raise UsageError(f"There is no {where} to review.")
            found = read_files(place.git, [folder(place.git, name, tree)])[name]
            if isinstance(found, UsageError):
                raise found
            habit = Habit.from_files(found, where=where)
        if habit.name != name:
            raise UsageError(f"{where}/habit.toml says that it is {habit.name}: rename the folder or the habit.")
        _propose(place, name, tree, provenance_trailers(habit.spec.provenance))


def _propose(place: Place, name: str, tree: str, trailers: list[Trailer]) -> None:
    git, refs, head = place.git, read_refs(place.git), _head(place.git)
    branch = refs.branch(name)
    _must_not_be_checked_out(branch)
    if branch and tree_at(git, branch.commit, place.path(name)) == tree:
        return
    vouched = refs.vouching(name, tree)
    if vouched and tree_at(git, "HEAD", place.path(name)) == tree:
        raise UsageError(f"This is exactly {vouched.label}, which is approved already.")
    if git.line("rev-parse", "--verify", "--quiet", "refs/heads/habit"):
        raise UsageError("Candidates are branches habit/NAME, but there is a branch habit: git branch -m habit OTHER")
    text = message(f"Propose {name}", [(CANDIDATE, name), (TREE, tree), *trailers])
    with workplace(place, branch.commit if branch else head, branch=f"habit/{name}") as work:
        work.put(name, tree)
        commit = work.commit(text)
        work.must_hold(commit, name, tree)
        if work.start:
            _move(git, f"{BRANCHES}{name}", commit, branch.commit if branch else NO_OBJECT)


def approve(place: Place, local: LocalState, name: str, reviewed: str, base: str, trailers: Mapping[str, str]) -> int:
    """Merge and tag the candidate ``name``, if it is still ``reviewed`` and would still replace ``base``."""
    with at_work(place, local):
        git, refs, where = place.git, read_refs(place.git), place.path(name)
        branch = refs.branch(name)
        if branch is None:
            raise UsageError(f"{name} has no candidate any more; see what happened with: habit log {name}")
        _must_not_be_checked_out(branch)
        if tree_at(git, branch.commit, where) != reviewed or tree_at(git, "HEAD", where) != base:
            raise UsageError(f"{name} has changed since it was reviewed; look at it again with: habit review {name}")
        head = _head(git)
        target = _branch_of_head(git)
        _must_change_only(place, branch, head)
        number = refs.next_number(name)
        label = f"{name}@{number}"
        found = read_files(git, [folder(git, name, reviewed)])[name]
        if isinstance(found, UsageError):
            raise found
        habit = Habit.from_files(found, where=where)
        said = [
            (APPROVED, label),
            (TREE, reviewed),
            *provenance_trailers(habit.spec.provenance),
            *extra_trailers(trailers),
            ("Approved-by", git.line("var", "GIT_COMMITTER_IDENT").rsplit(" ", 2)[0]),
        ]
        text = message(f"Approve {label}", said)
        commit = _merged(place, branch, head, name, reviewed, text)
        note = {"name": name, "tag": label, "commit": commit, "branch": target, "candidate": branch.commit}
        local.write(note, _UNFINISHED)
        try:
            _tag(git, label, commit, text)
            land(place, commit, name, f"approve {label}")
        finally:
            _finish(place, local)
        return number


def _merged(place: Place, branch: Branch, head: str, name: str, tree: str, text: bytes) -> str:
    """A commit on top of ``head`` that has the candidate as its second parent and ``tree`` as the habit's folder."""
    with workplace(place, head or branch.commit) as work:
        if head and not place.git.holds("merge-base", "--is-ancestor", branch.commit, head):
            work.merge(branch.commit)
        work.put(name, tree)
        commit = work.commit(text)
        work.must_hold(commit, name, tree)
        return commit


def reject(place: Place, local: LocalState, name: str, reason: str) -> None:
    """Turn the branch of a candidate into a tag."""
    with at_work(place, local):
        branch = read_refs(place.git).branch(name)
        if branch is None:
            raise UsageError(f"{name} has no candidate to reject.")
        _must_not_be_checked_out(branch)
        tag = f"{name}@rejected-{branch.commit[:12]}"
        if not place.git.line("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}"):
            text = message(f"Reject {name}", [(CANDIDATE, name), (REJECTED, branch.commit), (REASON, reason)])
            _tag(place.git, tag, branch.commit, text)
        _drop(place.git, f"{BRANCHES}{name}", branch.commit)
        local.forget("reviews", name)


def rollback(place: Place, local: LocalState, version: Version, reason: str) -> None:
    """Let the habit's folder be as in ``version`` again."""
    with at_work(place, local):
        if tree_at(place.git, "HEAD", place.path(version.name)) != version.tree:
            said = [(ROLLED_BACK, version.label), (TREE, version.tree), (REASON, reason)]
            _replace(place, version.name, version.tree, f"Roll back to {version.label}", said)
        local.forget("suspended", version.name)
        local.write({"version": str(version.number), "when": repr(time.time())}, "restored", version.name)


def retire(place: Place, local: LocalState, name: str, reason: str) -> None:
    """Let the habit's folder be gone."""
    with at_work(place, local):
        tree = tree_at(place.git, "HEAD", place.path(name)) if is_name(name) else ""
        if not tree:
            raise UsageError(f"There is no habit {name!r} in use; habit habits lists those that are.")
        version = read_refs(place.git).vouching(name, tree)
        _replace(place, name, "", f"Retire {name}", [(RETIRED, version.label if version else name), (REASON, reason)])


def _replace(place: Place, name: str, tree: str, subject: str, said: list[Trailer]) -> None:
    """Land a commit in which the habit's folder is ``tree``."""
    head = _head(place.git)
    _branch_of_head(place.git)
    with workplace(place, head) as work:
        work.put(name, tree)
        commit = work.commit(message(subject, said))
        work.must_hold(commit, name, tree)
    land(place, commit, name, subject)


# --- after a crash --------------------------------------------------------------------------------------------


def recover(place: Place, local: LocalState) -> None:
    """Complete or undo an approval that was cut off, and clear away what it left, unless somebody is at work."""
    if local.read(_UNFINISHED) or leftovers(place):
        try:
            with at_work(place, local, wait=False):
                pass
        except Busy:
            return
        except Refused:  # such as a lock that a killed git has left: whoever changes something is told
            return


def _finish(place: Place, local: LocalState) -> None:
    """Complete or undo what ``approve`` noted down: it counts if the merge landed on its branch, and else not."""
    note = local.read(_UNFINISHED)
    if not note:
        return
    git, tag = place.git, f"refs/tags/{note['tag']}"
    landed = bool(git.line("rev-parse", "--verify", "--quiet", note["branch"])) and git.holds(
        "merge-base", "--is-ancestor", note["commit"], note["branch"]
    )
    tagged = git.line("rev-parse", "--verify", "--quiet", f"{tag}^{{commit}}") == note["commit"]
    if landed and tagged:
        branch = read_refs(git).branch(note["name"])
        if branch and branch.commit == note["candidate"] and not branch.checked_out:
            _drop(git, f"{BRANCHES}{note['name']}", branch.commit)
        local.forget("reviews", note["name"])
        local.forget("suspended", note["name"])
    elif tagged:
        _drop(git, tag, git.line("rev-parse", "--verify", tag))
    local.forget(_UNFINISHED)


# --- refs -----------------------------------------------------------------------------------------------------


def _head(git: Git) -> str:
    """The commit that is checked out; empty before the first one."""
    return git.line("rev-parse", "--verify", "--quiet", "HEAD")


def _branch_of_head(git: Git) -> str:
    """The branch that is checked out. Raises UsageError for a detached HEAD, which would lose the change again."""
    branch = git.line("symbolic-ref", "-q", "HEAD")
    if not branch:
        raise UsageError("No branch is checked out, so the change would soon be lost: git switch BRANCH first.")
    if branch.startswith(BRANCHES):
        raise UsageError("A candidate's branch is checked out: git switch to the branch that holds your library first.")
    return branch


def _must_not_be_checked_out(branch: Branch | None) -> None:
    if branch and branch.checked_out:
        raise UsageError(
            f"The branch habit/{branch.name} is checked out in {branch.checked_out}: git switch to another one there."
        )


def _must_change_only(place: Place, branch: Branch, head: str) -> None:
    """Raises UsageError when a candidate's branch changes anything but its habit."""
    base = place.git.line("merge-base", head, branch.commit) if head else ""
    if not base:
        base = empty_tree(place.git)
    changed = place.git.read("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, branch.commit)
    inside = f"{place.path(branch.name)}/".encode("utf-8", "surrogateescape")
    other = [path for path in changed.split(b"\0") if path and not path.startswith(inside)]
    if other:
        path = other[0].decode("utf-8", "replace")
        raise UsageError(
            f"The branch habit/{branch.name} also changes {path}: take that out of the branch, or reject it."
        )


def _tag(git: Git, tag: str, commit: str, text: bytes) -> None:
    try:
        git.act("tag", "-a", "--cleanup=whitespace", "-F", "-", tag, commit, stdin=text)
    except GitError as problem:
        raise Refused(f"The tag {tag} could not be made, and nothing was changed: {problem}") from None


def _move(git: Git, ref: str, new: str, old: str) -> None:
    """Let ``ref`` be ``new`` if it is still ``old`` (empty: not there)."""
    try:
        git.act("update-ref", "-m", "habit", "--create-reflog", ref, new, old or "0" * len(new))
    except GitError as problem:
        raise Refused(f"{ref} could not be moved; try again ({problem}).") from None


def _drop(git: Git, ref: str, old: str) -> None:
    """Let ``ref`` be gone if it is still ``old``."""
    try:
        git.act("update-ref", "-d", ref, old)
    except GitError as problem:
        raise Refused(f"{ref} could not be removed; try again ({problem}).") from None
