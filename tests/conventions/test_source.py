"""Test the structure of the source: short modules and functions, one class per name, a purpose for each statement."""

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

import packhook
from conventions.sources import ROOT, name_of, python_files, syntax_tree, texts

MAX_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 50
_DIALECTS: Final = ("src/packhook/store/postgres/", "src/packhook/store/sqlite/")
_PACKAGE: Final = ROOT / "src/packhook"
_MODULES: Final = [path for path in python_files() if path.is_relative_to(ROOT / "src")]
_CODE: Final = [path for path in python_files() if not path.is_relative_to(ROOT / "tests")]
_SQL: Final = [path for path in texts() if path.suffix == ".sql" and not path.is_relative_to(ROOT / "tests")]
_MODULE_IN_MAP: Final = re.compile(r"\b(?:[a-z_]+/)+[a-z_]+\.py\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_files_are_found() -> None:
    """Guard the rules below, which an empty list of files would satisfy."""
    assert len(_MODULES) > 50
    assert len(_CODE) > len(_MODULES) + 20
    assert len(_SQL) > 20


def test_modules_are_short() -> None:
    """Allow 400 lines: a module is one subject."""
    assert [name_of(path) for path in _CODE if len(path.read_text("utf-8").splitlines()) > MAX_LINES] == []


def test_functions_fit_a_screen() -> None:
    """Allow 50 lines without the docstring."""
    found = [
        f"{name_of(path)}:{node.lineno}: {node.name}"
        for path in _CODE
        for node in ast.walk(syntax_tree(path))
        if isinstance(node, Function) and _lines(node) > MAX_FUNCTION_LINES
    ]
    assert found == []


def _lines(function: Function) -> int:
    return _span(function) - (_span(function.body[0]) if ast.get_docstring(function) is not None else 0)


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_two_classes_have_one_name() -> None:
    """Use one name for one thing in the package. The two dialects of the store mirror each other's names."""
    places: defaultdict[str, set[str]] = defaultdict(set)
    for path in _MODULES:
        for node in ast.walk(syntax_tree(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].add(name_of(path))
    shared = {name: found for name, found in places.items() if len(found) > 1 and not _is_mirrored(found)}
    assert shared == {}


def _is_mirrored(places: set[str]) -> bool:
    return len(places) == 2 and all(any(place.startswith(dialect) for place in places) for dialect in _DIALECTS)


def test_sql_begins_with_its_purpose() -> None:
    """Begin each statement with a comment that says what it is for."""
    assert [name_of(path) for path in _SQL if not re.match(r"-- \w", path.read_text("utf-8"))] == []


def test_the_map_names_only_modules_that_exist() -> None:
    """Keep the diagram in ``packhook/__init__.py`` true, because a reader begins there."""
    named = set(_MODULE_IN_MAP.findall(packhook.__doc__ or ""))
    assert {path.partition("/")[0] for path in named} >= {"api", "service", "store", "delivery", "core"}
    assert {path for path in named if not (_PACKAGE / path).is_file()} == set()


def test_ids_are_made_in_one_place() -> None:
    """Import uuid in ``core/ids.py`` only (docs/decisions/0006)."""
    others = [path for path in _MODULES if path != _PACKAGE / "core/ids.py"]
    assert [name_of(path) for path in others if _imports_uuid(path)] == []


def _imports_uuid(path: Path) -> bool:
    return re.search(r"^\s*(?:import|from) uuid", path.read_text("utf-8"), re.MULTILINE) is not None
