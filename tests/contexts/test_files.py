"""Files in folders: the rules of git (asked of git itself), links that lead astray, files that are none."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from habit.contexts.files import Folder, Unusable, read_file, shown


def names(root: Path) -> list[str]:
    return [name for name, _ in Folder(str(root)).walk()]


def git(root: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    result = subprocess.run(["git", *words], cwd=root, env=environment, capture_output=True, text=True, check=True)
    return result.stdout


def as_git_sees_it(root: Path) -> list[str]:
    return sorted(filter(None, git(root, "ls-files", "-z", "--others", "--exclude-standard").split("\0")))


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
parts = st.sampled_from(["a", "b", "build", "x.log", "keep.log", "c.txt", "d e", "#f"])
tree = st.lists(st.lists(parts, min_size=1, max_size=3).map("/".join), min_size=1, max_size=12)
plain_patterns = ["*.log", "build/", "build", "/a", "a/", "a/b", "a/*", "**/b", "a/**", "b/**/c.txt", "*", "[ab]", "*/"]
odd_patterns = [
    "!keep.log",
    "!a/b",
    "!*/",
    "!c.txt",
    "!build/",
    "!",
    "[",
    "\\#f",
    "# note",
    "d e",
    "d\\ e ",
    "x.log\r",
    "",
]
patterns = st.sampled_from(plain_patterns) | st.sampled_from(odd_patterns)
ignore_files = st.dictionaries(
    st.sampled_from(["", "a/", "b/", "a/b/", "build/"]), st.lists(patterns, max_size=5), max_size=3
)


@pytest.fixture(scope="module")
def playground() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@needs_git
@given(tree, ignore_files)
@example(["c.txt/a/c.txt", "c.txt/b"], {"": ["a/", "!c.txt"]})
@example(["c.txt/c.txt", "b"], {"": ["*", "!c.txt"]})
@example(["a/b", "a/c.txt", "b"], {"": ["a/**", "!a/b"]})
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ignores_what_git_ignores(playground: Path, files: list[str], ignores: dict[str, list[str]]) -> None:
    root = Path(tempfile.mkdtemp(dir=playground))
    for name in [*files, *(f"{folder}.gitignore" for folder in ignores)]:
        if not any((root / parent).is_file() for parent in Path(name).parents) and not (root / name).exists():
            text = "\n".join(ignores.get(name.removesuffix(".gitignore"), [])) if name.endswith(".gitignore") else "x"
            write(root, {name: text})
    git(root, "init", "-q")
    assert names(root) == as_git_sees_it(root)


@needs_git
def test_nested_rules_and_negations(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(
        tmp_path,
        {
            ".gitignore": "*.log\n!keep.log\n/dist/\nsecret/*\n!secret/public.txt\n",
            "a.log": "",
            "keep.log": "",
            "dist/x.txt": "",
            "sub/dist/x.txt": "",
            "sub/.gitignore": "keep.log\n!special.log\n",
            "sub/keep.log": "",
            "sub/special.log": "",
            "secret/public.txt": "",
            "secret/private.txt": "",
        },
    )
    expected = [".gitignore", "keep.log", "secret/public.txt", "sub/.gitignore", "sub/dist/x.txt", "sub/special.log"]
    assert names(tmp_path) == as_git_sees_it(tmp_path) == expected
    # The rules from above hold when only a part of the repository is asked for.
    assert names(tmp_path / "sub") == [".gitignore", "dist/x.txt", "special.log"]
    # But what is asked for by name is wanted.
    assert names(tmp_path / "dist") == ["x.txt"]


def test_rules_from_above_end_at_the_repository(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*.txt\n", "inner/a.txt": ""})
    assert names(tmp_path / "inner") == ["a.txt"]
    (tmp_path / "inner" / ".git").mkdir()
    (tmp_path / ".git").mkdir()
    assert names(tmp_path / "inner") == ["a.txt"]


def test_housekeeping_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, {f"{folder}/x": "" for folder in (".git", ".hg", ".svn", "a/.git", ".habit", "kept")})
    write(tmp_path, {"worktree/.git": "gitdir: elsewhere", "CVS.txt": "", "worktree/.hg": "a file"})
    assert names(tmp_path) == ["CVS.txt", "kept/x", "worktree/.hg"]


def test_strange_ignore_files_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "", "a/b.log": "", "link/c.log": "", "e ": ""})
    (tmp_path / ".gitignore").write_bytes(b"\xef\xbb\xbf*.log\r\ne\\ \r\n[\n\xff\xfe\x00\n!\n")
    (tmp_path / "link" / ".gitignore").symlink_to(tmp_path / "a.txt")
    os.mkfifo(tmp_path / "a" / ".gitignore")
    assert not {"a/b.log", "e "} & set(names(tmp_path))
    assert "a.txt" in names(tmp_path)


def test_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, {"outside/secret.txt": "s", "root/a.txt": "a", "root/sub/b.txt": "b"})
    (root / "inside.txt").symlink_to("sub/b.txt")
    (root / "out.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "sub" / "up").symlink_to(root)
    (root / "loop").symlink_to("loop")
    folder = Folder(str(root))
    assert [name for name, _ in folder.walk()] == ["a.txt", "inside.txt", "loop", "sub/b.txt"]
    assert (folder.links_out, folder.folder_links) == (1, 2)
    with pytest.raises(Unusable, match="cannot be read"):
        read_file(str(root / "loop"))


def test_a_folder_that_is_a_link_is_walked(tmp_path: Path) -> None:
    write(tmp_path, {"real/a.txt": ""})
    (tmp_path / "link").symlink_to("real")
    assert names(tmp_path / "link") == ["a.txt"]


def test_deep_folders(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(400):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / "x").touch()
    assert names(tmp_path) == ["d/" * 400 + "x"]


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))
        for name, reason in [
            (tmp_path / "pipe", "a named pipe"),
            (tmp_path / "dangling", "a link that leads nowhere"),
            (path, "a socket"),
            ("/dev/null", "a device"),
            (tmp_path, "a folder"),
            (tmp_path / "absent", "no longer there"),
        ]:
            with pytest.raises(Unusable, match=reason):
                read_file(str(name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permissions(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "", "closed/b.txt": ""})
    (tmp_path / "a.txt").chmod(0)
    (tmp_path / "closed").chmod(0)
    with pytest.raises(Unusable, match="may not be read by you"):
        read_file(str(tmp_path / "a.txt"))
    folder = Folder(str(tmp_path))
    folder.walk()
    assert ["cannot be listed" in bad.reason for bad in folder.bad] == [True]
    (tmp_path / "closed").chmod(0o700)


def test_names_of_any_bytes_can_be_shown(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9\n\x1b[2J.txt")
    (tmp_path / odd).write_text("x")
    [(name, path)] = Folder(str(tmp_path)).walk()
    assert read_file(path) == b"x"
    assert shown(name) == "caf\ufffd\\n\\x1b[2J.txt"
