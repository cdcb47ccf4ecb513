"""Test every text of the project: no sleep in tests, nothing unfinished, nothing of one machine."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from conventions.sources import FOLDERS, ROOT, name_of, texts

_CHAOS_TOOL: Final = {
    ROOT / "tests/chaos" / f"{name}.py" for name in ("__main__", "cluster", "faults", "publisher", "replay")
}


def _found(pattern: str, paths: Iterable[Path]) -> list[str]:
    """Return file and line number of every line that has the pattern."""
    compiled = re.compile(pattern)
    return [
        f"{name_of(path)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if compiled.search(line)
    ]


def test_files_are_found() -> None:
    """Guard the rules below, which an empty list of files would satisfy."""
    assert {"README.md", "pyproject.toml", "src", "benchmarks", "tests", "docs"} <= {
        path.relative_to(ROOT).parts[0] for path in texts()
    }


def test_no_test_sleeps() -> None:
    """Let tests wait for a condition; only the chaos tool pauses, because frozen nodes and rates are its subject."""
    tests = [path for path in texts() if path.is_relative_to(ROOT / "tests") and path not in _CHAOS_TOOL]
    assert _found(r"\bsleep\(", tests) == []


@pytest.mark.parametrize("mark", ["TO" + "DO", "FIX" + "ME"])
def test_nothing_is_unfinished(mark: str) -> None:
    """Finish work before it is committed."""
    assert _found(rf"\b{mark}\b", texts()) == []


def test_tools_leave_no_files_behind() -> None:
    """Delete the second copies of editors and merges."""
    left = ("*.orig", "*.rej", "*.bak", "*~")
    assert [path.name for folder in FOLDERS for kind in left for path in (ROOT / folder).rglob(kind)] == []


def test_nothing_names_a_machine() -> None:
    """Use relative paths, or paths that every system has."""
    assert _found(r"(?<![\w.])/(?:work|root|farm|Users|home/\w+|tmp/\w+)(?:/|\b)", texts()) == []
