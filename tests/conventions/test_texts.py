"""No test that waits for time to pass, nothing left for later, nothing of one machine, in any file of the project."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[2]
_FOLDERS: Final = ("src", "benchmarks", "tests", "docs", ".ci")
_CHAOS_TOOL: Final = {
    _ROOT / "tests/chaos" / name for name in ("__main__.py", "cluster.py", "faults.py", "publisher.py")
}
_KINDS: Final = {".py", ".sql", ".md", ".toml", ".json", ".sh", ".yml", ".yaml", ""}


def _texts() -> Iterator[Path]:
    own = (path for path in _ROOT.iterdir() if not path.name.startswith("."))  # tools leave theirs behind a dot
    yield from (path for path in own if path.is_file() and path.suffix in _KINDS)
    for folder in _FOLDERS:
        yield from (
            path
            for path in (_ROOT / folder).rglob("*")
            if path.is_file() and path.suffix in _KINDS and "__pycache__" not in path.parts
        )


_TEXTS: Final = sorted(_texts())


def _found(pattern: str, paths: list[Path]) -> list[str]:
    """Where the pattern stands: file and line number."""
    wanted = re.compile(pattern)
    return [
        f"{path.relative_to(_ROOT)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if wanted.search(line)
    ]


def test_there_is_something_to_look_at() -> None:
    """The rules below hold for all of nothing, too."""
    assert {"README.md", "pyproject.toml", "src", "tests", "docs"} <= {
        path.relative_to(_ROOT).parts[0] for path in _TEXTS
    }


def test_no_test_sleeps() -> None:
    """Let tests wait for a condition; only the chaos tool pauses, because frozen nodes and rates are its subject."""
    tests = [path for path in _TEXTS if path.is_relative_to(_ROOT / "tests") and path not in _CHAOS_TOOL]
    assert _found(r"\bsleep\(", tests) == []


@pytest.mark.parametrize("mark", ["TO" + "DO", "FIX" + "ME"])
def test_nothing_is_left_for_later(mark: str) -> None:
    """What is not done is not begun in the source."""
    assert _found(rf"\b{mark}\b", _TEXTS) == []


def test_nothing_is_left_behind_by_a_tool() -> None:
    """An editor's or a merge's second copy of a file is not part of the source."""
    left = ("*.orig", "*.rej", "*.bak", "*~")
    assert [path.name for folder in _FOLDERS for kind in left for path in (_ROOT / folder).rglob(kind)] == []


def test_nothing_names_a_machine() -> None:
    """Paths are relative, or ones that every system has."""
    assert _found(r"(?<![\w.])/(?:work|root|farm|Users|home/\w+|tmp/\w+)(?:/|\b)", _TEXTS) == []
