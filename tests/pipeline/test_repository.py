"""The repository of the code: what its files differ in from the commit, without a trace in it."""

from pathlib import Path

import pytest

from pipeline.repository import GitFailed, changes, git, is_checkout
from tests.support import checkout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two files of code and one beside it, committed."""
    folder = tmp_path / "code"
    for name in ("components/a.py", "components/b.py", "mynets.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"NAME = {name!r}\n")
    checkout.git(tmp_path, "init", "--quiet", str(folder))
    checkout.commit(folder, "first")
    return folder


def test_a_clean_tree_has_no_changes(repository: Path) -> None:
    assert changes(repository) == b""
    assert is_checkout(repository)
    assert not is_checkout(repository / "components"), "a folder inside another project's repository"


def test_the_changes_make_the_same_code_elsewhere(repository: Path, tmp_path: Path) -> None:
    """Edited, deleted and new files of code, binary ones too; not the pictures that lie beside the code."""
    (repository / "components/a.py").write_text("NAME = 'edited'\n")
    (repository / "components/b.py").unlink()
    (repository / "components/new.py").write_text("NAME = 'new'\n")
    (repository / "components/font.bin").write_bytes(bytes(range(256)))
    (repository / "mynets.py").write_text("NAME = 'other'\n")
    (repository / "cat.png").write_bytes(b"a picture")
    diff = changes(repository)
    checkout.git(repository, "worktree", "add", "--detach", "--quiet", str(tmp_path / "elsewhere"))
    git("apply", "-", folder=tmp_path / "elsewhere", given=diff)
    for name in ("components/a.py", "components/new.py", "components/font.bin", "mynets.py"):
        assert (tmp_path / "elsewhere" / name).read_bytes() == (repository / name).read_bytes()
    assert not (tmp_path / "elsewhere/components/b.py").exists()
    assert not (tmp_path / "elsewhere/cat.png").exists()


def test_the_repository_stays_as_it_is(repository: Path) -> None:
    """A look at the changes stages nothing and leaves no object behind."""
    (repository / "components/new.py").write_text("NAME = 'new'\n")
    before = checkout.git(repository, "status", "--porcelain"), checkout.git(repository, "count-objects")
    assert changes(repository)
    assert (checkout.git(repository, "status", "--porcelain"), checkout.git(repository, "count-objects")) == before


def test_a_folder_outside_git_is_no_checkout(tmp_path: Path) -> None:
    assert not is_checkout(tmp_path)
    with pytest.raises(GitFailed):
        changes(tmp_path)
