"""What stands in a module that is compiled means the same there: docs/decisions/0024."""

import ast
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[2]
_SUSPENDS: Final = (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.Yield, ast.YieldFrom)


def _compiled() -> list[str]:
    for node in ast.parse((_ROOT / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED":
            return list(ast.literal_eval(node.value))
    raise AssertionError("setup.py names no modules")


def _unfit(source: str) -> list[str]:
    """Classes whose meaning would be lost."""
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    return [
        each.name
        for each in classes
        if each.keywords
        or "Struct" in map(ast.unparse, each.bases)
        or (any("dataclass" in ast.unparse(by) for by in each.decorator_list) and "Generic" in ast.unparse(each))
    ]


def _suspended(source: str) -> list[int]:
    """Lines where a coroutine is suspended while it handles an exception, or may be."""
    found: list[int] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncWith | ast.AsyncFor):
            found.append(node.lineno)
        elif isinstance(node, ast.Try):
            handling = [*node.finalbody, *(statement for each in node.handlers for statement in each.body)]
            found += [each.lineno for part in handling for each in ast.walk(part) if isinstance(each, _SUSPENDS)]
    return found


def _caught_as_another(source: str) -> list[str]:
    """Functions in which one name is given to two kinds of exception."""
    found: list[str] = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            handlers = [each for each in ast.walk(function) if isinstance(each, ast.ExceptHandler) and each.type]
            kinds = {(each.name, ast.unparse(each.type)) for each in handlers if each.name and each.type}
            if len(kinds) > len({name for name, _ in kinds}):
                found.append(function.name)
    return found


@pytest.mark.parametrize("module", _compiled())
def test_nothing_in_it_loses_its_meaning(module: str) -> None:
    """No Struct, no class with keywords, no generic dataclass; nobody waits in a handler, a name keeps its type."""
    source = (_ROOT / "src/packhook" / module).read_text("utf-8")
    assert (_unfit(source), _suspended(source), _caught_as_another(source)) == ([], [], [])


def test_a_name_for_two_kinds_is_found() -> None:
    """The reading above sees it, and nothing where each has its own or both are one."""
    caught = "async def a():\n try: b()\n except E as {}: c()\n except {} as e: c()"
    assert _caught_as_another(caught.format("e", "F")) == ["a"]
    assert _caught_as_another(caught.format("f", "F")) == _caught_as_another(caught.format("e", "E")) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def a():\n try: b()\n except E: await c()",
        "async def a():\n try: b()\n finally: await c()",
        "async def a():\n async with b: c()",
    ],
)
def test_what_would_wait_there_is_found(source: str) -> None:
    """The reading above sees each of them."""
    assert len(_suspended(source)) == 1


@pytest.mark.parametrize(
    "source",
    ["class A(Struct): a: int", "class A(B, frozen=True): a: int", "@dataclass\nclass A(Generic[T]): a: T"],
)
def test_what_would_lose_it_is_found(source: str) -> None:
    """The reading above sees each of them."""
    assert _unfit(source) == ["A"]
