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


@pytest.mark.parametrize("module", _compiled())
def test_nothing_in_it_loses_its_meaning(module: str) -> None:
    """Neither a Struct, nor a class with keywords, nor a generic dataclass; nobody waits in a handler."""
    source = (_ROOT / "src/packhook" / module).read_text("utf-8")
    assert (_unfit(source), _suspended(source)) == ([], [])


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
