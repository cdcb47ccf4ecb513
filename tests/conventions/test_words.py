"""Test that names and texts use the field's standard terms."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from conventions.sources import is_done, name_of, python_files, syntax_tree, texts
from conventions.words import BANNED_WORDS, RETIRED_NAMES

_WORDS: Final = "|".join(re.escape(word) for word in sorted(BANNED_WORDS, key=len, reverse=True))
_CAPITALIZED: Final = "|".join(word.capitalize() for word in BANNED_WORDS if word.isalpha())
_BANNED: Final = re.compile(rf"(?<![^\W_])(?i:{_WORDS})(?![^\W_])|(?<=[a-z])(?:{_CAPITALIZED})(?![a-z])")
_OWN: Final = ("words.py", "test_words.py", "CHANGELOG.md")
"""Files that list banned words or former names."""


def banned_words(text: str) -> list[str]:
    """Return the banned words in a text or a name, in lower case; an underscore or a capital letter starts a word."""
    return [found.lower() for found in _BANNED.findall(text)]


def _lines(paths: tuple[Path, ...]) -> Iterator[tuple[str, str]]:
    """Yield each line of the files that are held to the conventions, with its place."""
    for path in paths:
        if is_done(path) and path.name not in _OWN:
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                yield f"{name_of(path)}:{number}", line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is told at once.", ["told"]),
        ("on_told", ["told"]),
        ("def _told_of(x)", ["told"]),
        ("EngineHouse", ["house"]),
        ("class House:", ["house"]),
        ("/warehouse", []),
        ("a warehouse, a clean leaning tower", []),
        ("deliveries in hand", ["in hand"]),
        ("nobody's", ["nobody's"]),
    ],
)
def test_banned_words_are_found(text: str, found: list[str]) -> None:
    """Find a banned word in prose and as a part of a name, and not inside another word."""
    assert banned_words(text) == found


def test_texts_have_no_banned_words() -> None:
    """Use standard terms in docstrings, comments, messages and docs; see words.py for what to use instead."""
    assert [f"{place}: {word}" for place, line in _lines(texts()) for word in banned_words(line)] == []


def test_file_names_have_no_banned_words() -> None:
    """Use standard terms for modules and folders too."""
    assert [name_of(path) for path in texts() if is_done(path) and banned_words(name_of(path))] == []


def _names(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the names of a file's classes, functions, parameters, variables and attributes, with their lines."""
    for node in ast.walk(syntax_tree(path)):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node.lineno
            case ast.Name():
                yield node.id, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Attribute():
                yield node.attr, node.lineno


def _named(names: frozenset[str]) -> list[str]:
    """Return where one of these names, or the same with underscores in front, is used."""
    return [
        f"{name_of(path)}:{line}: {name}"
        for path in python_files()
        if is_done(path)
        for name, line in _names(path)
        if name.lstrip("_") in names
    ]


def test_former_names_do_not_return() -> None:
    """Use the name that replaced a former one; see words.py."""
    assert _named(frozenset(RETIRED_NAMES)) == []


def test_no_variable_is_called_each() -> None:
    """Name a loop variable for what it is."""
    assert _named(frozenset({"each"})) == []
