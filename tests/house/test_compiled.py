"""What stands in a module that is compiled means the same there: docs/decisions/0024."""

import ast
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from msgspec import Struct

from nouns import replaced
from packhook.core import way
from packhook.core.model import DeliveryStatus

_ROOT: Final = Path(__file__).parents[2]
_SUSPENDS: Final = (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.Yield, ast.YieldFrom)


def _setup() -> ModuleType:
    """The file, which builds nothing unless it is the program; without setuptools, which brings other packages."""
    parsed = ast.parse((_ROOT / "setup.py").read_text("utf-8"))
    parsed.body = [
        each for each in parsed.body if not (isinstance(each, ast.ImportFrom) and each.module == "setuptools")
    ]
    module: Any = ModuleType("packhook_setup")
    module.Extension = object
    exec(compile(parsed, "setup.py", "exec"), vars(module))  # noqa: S102 our own source
    return module  # type: ignore[no-any-return] # it is one


_SETUP: Final = _setup()


def _as_compiled(module: str) -> str:
    """What the compiler gets to see of it."""
    source = (_ROOT / "src/packhook" / module).read_text("utf-8")
    written: str = _SETUP.written_out(source) if module in _SETUP.WRITTEN_OUT else source
    return written


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


@pytest.mark.parametrize("module", _SETUP.COMPILED)
def test_nothing_in_it_loses_its_meaning(module: str) -> None:
    """No Struct, no class with keywords, no generic dataclass; nobody waits in a handler, a name keeps its type."""
    source = _as_compiled(module)
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


_MADE: Final = {
    "verdict": way.Verdict(status=DeliveryStatus.DELIVERED),
    "outcome": way.Outcome(status_code=200, headers=(("a", "b"),), body=b"c", duration=3),
    "receipt": way.Receipt(id="evt_1", event_code="order.created", created_at=1, deliveries=2),
}


def _plain() -> ModuleType:
    """The module of an event's nouns as the compiler gets it, run as it is."""
    module = ModuleType("packhook.core.written_out")
    sys.modules[module.__name__] = module
    exec(compile(_as_compiled("core/way.py"), "way.py", "exec"), vars(module))  # noqa: S102 our own source
    return module


def _parts(noun: Any) -> dict[str, Any]:  # noqa: ANN401 a Struct or a plain class
    return {name: getattr(noun, name) for name in noun.__struct_fields__}


def test_every_struct_of_an_events_way_is_written_out() -> None:
    """By the same names, in the same order, and none is left."""
    plain = _plain()
    structs = {
        name: kind for name, kind in vars(way).items() if isinstance(kind, type) and kind.__module__ == way.__name__
    }
    assert len(structs) >= 10
    for name, kind in structs.items():
        assert issubclass(kind, Struct)
        assert not issubclass(getattr(plain, name), Struct)
        assert getattr(plain, name).__struct_fields__ == kind.__struct_fields__


@pytest.mark.parametrize("noun", _MADE.values(), ids=_MADE)
def test_a_noun_that_is_written_out_is_the_same_value(noun: Any) -> None:  # noqa: ANN401 as above
    """It has the same parts, what is not said is the same, and it equals what has all parts in common."""
    kind = getattr(_plain(), type(noun).__name__)
    made = kind(**_parts(noun))
    said = {name: value for name, value in _parts(noun).items() if value not in (None, "", (), b"", False)}
    assert _parts(made) == _parts(kind(**said)) == _parts(noun)
    assert (made, hash(made), repr(made)) == (kind(**said), hash(kind(**said)), repr(noun))
    first = noun.__struct_fields__[0]
    assert made != replaced(made, **{first: "another"})
    assert made != noun


def test_a_part_of_a_noun_is_said_by_its_name() -> None:
    """As of a Struct that is ``kw_only``; and none may be left out that has no default."""
    plain = _plain()
    with pytest.raises(TypeError):
        plain.Receipt("evt_1", "order.created", 1, 2)
    with pytest.raises(TypeError, match="deliveries"):
        plain.Receipt(id="evt_1", event_code="order.created", created_at=1)


def test_what_is_no_struct_is_left_as_it_is() -> None:
    """A module may have functions beside its nouns."""
    written = _as_compiled("delivery/target.py")
    assert "class PreparedTarget:" in written
    assert "def prepare(target: Target, settings: Settings) -> PreparedTarget:" in written
    assert ast.get_docstring(ast.parse(written)) == ast.get_docstring(
        ast.parse((_ROOT / "src/packhook/delivery/target.py").read_text("utf-8"))
    )
