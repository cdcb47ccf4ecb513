"""Test that docstrings begin with a verb in the imperative."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from conventions.sources import is_done, name_of, python_files, syntax_tree, verbs

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def is_imperative(docstring: str) -> bool:
    """Tell whether the first word is a verb of verbs.txt."""
    first = re.match(r"[A-Za-z]+(?:-[a-z]+)?", docstring)
    return first is not None and first[0].lower().removeprefix("re-") in verbs()


def _docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the docstring of each class and function of a file. A test's docstring is its promise."""
    for node in ast.walk(syntax_tree(path)):
        if not isinstance(node, Documented) or node.name.startswith("test_"):
            continue
        if docstring := ast.get_docstring(node):
            yield node.lineno, docstring


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Return the id.", True),
        ("Re-enable a webhook.", True),
        ("What a client sees.", False),
        ("Whether it is open.", False),
        ("A lane.", False),
        ("``None`` for none.", False),
    ],
)
def test_the_first_word_decides(docstring: str, expected: bool) -> None:
    """Accept verbs that are listed, in the form of the list."""
    assert is_imperative(docstring) is expected


def test_docstrings_begin_with_a_verb() -> None:
    """Say what a class or function does: "Return…", "Store…", "Hold…"."""
    found = [
        f"{name_of(path)}:{line}: {docstring.splitlines()[0][:60]}"
        for path in python_files()
        if is_done(path)
        for line, docstring in _docstrings(path)
        if not is_imperative(docstring)
    ]
    assert found == []
