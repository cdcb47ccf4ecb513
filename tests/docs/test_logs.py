"""docs/how-to/run-in-production.md tells every kind of log line, and none that is never written."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from docs.pages import ROOT, read, rows, sections

_WRITES: Final = {"debug", "info", "warning", "error", "exception"}
_SOURCES: Final = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "src/packhook").rglob("*.py")]


def _written(tree: ast.AST) -> Iterator[str]:
    """The events that are written to a module's ``_log``, also by way of a name for one of its methods."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="_log"), attr=level) | ast.Name(id="write" as level),
                args=[ast.Constant(value=str(event)), *_],
            ) if level in _WRITES | {"write"}:
                yield event


def test_every_log_line_is_documented_and_no_other() -> None:
    """An operator who meets one can look it up."""
    (section,) = [each for each in sections(read("how-to/run-in-production.md")) if each.title == "Logs"]
    told = {event for cells in rows(section.text) for event in re.findall(r"`(\w+)`", cells[0])}
    assert told == {event for tree in _SOURCES for event in _written(tree)}
