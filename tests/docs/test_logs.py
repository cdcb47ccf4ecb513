"""Test docs/how-to/run-in-production.md: it has every log event, and no other."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from docs.pages import ROOT, read, rows, sections

_WRITES: Final = {"debug", "info", "warning", "error", "exception"}
_SOURCES: Final = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "src/packhook").rglob("*.py")]


def _written(tree: ast.AST) -> Iterator[str]:
    """Return the events that a module writes to its ``_log``, also through an alias of a method."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="_log"), attr=level) | ast.Name(id="write" as level),
                args=[ast.Constant(value=str(event)), *_],
            ) if level in _WRITES | {"write"}:
                yield event


def test_every_log_line_is_documented_and_no_other() -> None:
    """Document each event, for operators."""
    (section,) = [item for item in sections(read("how-to/run-in-production.md")) if item.title == "Logs"]
    documented = {event for cells in rows(section.text) for event in re.findall(r"`(\w+)`", cells[0])}
    assert documented == {event for tree in _SOURCES for event in _written(tree)}
