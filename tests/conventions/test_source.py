"""Short modules, short functions, SQL with a purpose, a map that is right."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

import packhook

_ROOT: Final = Path(__file__).parents[2]
_PACKAGE: Final = _ROOT / "src/packhook"
_MODULES: Final = sorted(_PACKAGE.rglob("*.py"))
_SQL: Final = sorted(_PACKAGE.rglob("*.sql"))
_MOST_LINES: Final = 400
_MOST_FUNCTION_LINES: Final = 50
_MAPPED: Final = re.compile(r"\b(?:[a-z_]+/)+[a-z_]+\.py\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _name(path: Path) -> str:
    return str(path.relative_to(_PACKAGE))


def test_there_is_something_to_look_at() -> None:
    """The rules below hold for all of nothing, too."""
    assert len(_MODULES) > 50
    assert len(_SQL) > 20


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_a_module_is_short(path: Path) -> None:
    """At most 400 lines: one role, one screenful at a time."""
    assert len(path.read_text("utf-8").splitlines()) <= _MOST_LINES


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_a_function_fits_a_screen(path: Path) -> None:
    """At most 50 lines, its docstring counted out."""
    functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, Function)]
    assert {each.name: _lines(each) for each in functions if _lines(each) > _MOST_FUNCTION_LINES} == {}


def _lines(function: Function) -> int:
    return _span(function) - (_span(function.body[0]) if ast.get_docstring(function) is not None else 0)


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", _SQL, ids=_name)
def test_sql_begins_with_its_purpose(path: Path) -> None:
    """A comment line that says what the statement is for."""
    assert re.match(r"-- \w", path.read_text("utf-8"))


def test_the_map_names_only_modules_that_exist() -> None:
    """The drawing in ``packhook/__init__.py`` is where a reader begins; a wrong one sends them astray."""
    named = set(_MAPPED.findall(packhook.__doc__ or ""))
    assert {path.partition("/")[0] for path in named} >= {"api", "service", "store", "delivery", "core"}
    assert {path for path in named if not (_PACKAGE / path).is_file()} == set()


@pytest.mark.parametrize("path", [path for path in _MODULES if _name(path) != "core/ids.py"], ids=_name)
def test_ids_are_made_in_one_place(path: Path) -> None:
    """Nothing but ``core/ids.py`` knows how an id is made (docs/decisions/0006)."""
    assert re.search(r"^\s*(?:import|from) uuid", path.read_text("utf-8"), re.MULTILINE) is None
