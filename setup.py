"""The one thing about the build that pyproject.toml cannot say: which modules are compiled, where that is asked for.

``PACKHOOK_COMPILE=1`` makes a wheel with these as machine code (mypyc), for the Python that builds it; it needs a C
compiler, and packhook's dependencies installed beside it, for their types: ``make wheel``. Everything else is the same
pure Python as ever. See docs/decisions/0024-the-way-of-an-event-is-compiled.md.
"""

import ast
import os
import shutil
from pathlib import Path

from setuptools import Extension, setup

COMPILED = (
    "api/bearer.py",
    "api/bodies.py",
    "api/door.py",
    "api/exchange.py",
    "api/held.py",
    "api/incoming.py",
    "api/lean.py",
    "api/protocol.py",
    "api/publish.py",
    "api/quick.py",
    "core/clock.py",
    "core/ids.py",
    "core/judge.py",
    "core/signature.py",
    "core/way.py",
    "delivery/answer.py",
    "delivery/attempt.py",
    "delivery/causes.py",
    "delivery/connection.py",
    "delivery/curl.py",
    "delivery/dispatch.py",
    "delivery/engine.py",
    "delivery/holds.py",
    "delivery/lane.py",
    "delivery/libcurl.py",
    "delivery/plain.py",
    "delivery/record.py",
    "delivery/send.py",
    "delivery/target.py",
    "delivery/traffic.py",
    "delivery/turns.py",
    "service/access.py",
    "service/limits.py",
    "service/publish.py",
    "store/ending.py",
    "store/leasing.py",
    "store/postgres/arrays.py",
    "store/postgres/keys.py",
    "store/postgres/publish.py",
    "store/postgres/record.py",
    "store/postgres/wanting.py",
    "store/rows.py",
    "store/sqlite/filing.py",
    "store/sqlite/publish.py",
    "store/sqlite/asking.py",
    "store/sqlite/record.py",
    "store/sqlite/store.py",
    "store/sqlite/writer.py",
)
"""The way of one event, from its request to its record; relative to ``src/packhook``."""


WRITTEN_OUT = ("core/way.py", "delivery/target.py")
"""Of the compiled, those whose Structs become plain classes on the way to the compiler."""

_SOURCE = Path("src/packhook")
_COPY = Path("build/written/packhook")


def extensions() -> list[Extension]:
    """Nothing, unless it is asked for."""
    if os.environ.get("PACKHOOK_COMPILE", "") in {"", "0"}:
        return []
    from mypyc.build import mypycify  # noqa: PLC0415 only who compiles has it

    shutil.rmtree(_COPY, ignore_errors=True)
    shutil.copytree(_SOURCE, _COPY, ignore=shutil.ignore_patterns("__pycache__"))
    for module in WRITTEN_OUT:
        (_COPY / module).write_text(written_out((_SOURCE / module).read_text("utf-8")), "utf-8")
    made: list[Extension] = mypycify([str(_COPY / module) for module in COMPILED], opt_level="3", debug_level="0")
    return made


def written_out(source: str) -> str:
    """The same module with plain classes in place of msgspec's Structs: of the same parts, equal where those are.

    What reads a part of a compiled class finds it at its place; a Struct, which is foreign to the compiler, is asked.
    """
    written = [_plain(each) if isinstance(each, ast.ClassDef) else ast.unparse(each) for each in ast.parse(source).body]
    written.insert(1, "from typing import ClassVar, Final")  # behind the module's docstring
    return "\n\n\n".join(written) + "\n"


def _plain(struct: ast.ClassDef) -> str:
    parts = [each for each in struct.body if isinstance(each, ast.AnnAssign)]
    names = [ast.unparse(each.target) for each in parts]
    values = "".join(f"self.{name}, " for name in names)
    return "\n    ".join(
        [
            f"class {struct.name}:",
            repr(ast.get_docstring(struct)),
            f"__struct_fields__: ClassVar[tuple[str, ...]] = {tuple(names)}",
            f"def __init__(self, *, {', '.join(map(ast.unparse, parts))}) -> None:",
            *(f"    self.{name}: Final = {name}" for name in names),
            "def __eq__(self, other: object) -> bool:",
            f"    return isinstance(other, {struct.name}) and {' and '.join(f'self.{n} == other.{n}' for n in names)}",
            "def __hash__(self) -> int:",
            f"    return hash(({values}))",
            "def __repr__(self) -> str:",
            f"    shown = zip(self.__struct_fields__, ({values}))",
            f"    return '{struct.name}(' + ', '.join([f'{{name}}={{value!r}}' for name, value in shown]) + ')'",
        ]
    )


if __name__ == "__main__":
    setup(ext_modules=extensions())
