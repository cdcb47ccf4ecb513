"""docs/how-to/run-in-production.md has every log event, and none that is never written."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from docs.pages import ROOT, find_section, read, rows

_WRITES: Final = {"debug", "info", "warning", "error", "exception"}
_SOURCES: Final = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "src/packhook").rglob("*.py")]


def _written(tree: ast.AST) -> Iterator[str]:
    """Yield the events written to a module's ``_log``, also through a variable that holds one of its methods."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="_log"), attr=level) | ast.Name(id="write" as level),
                args=[ast.Constant(value=str(event)), *_],
            ) if level in _WRITES | {"write"}:
                yield event


def test_every_log_event_is_documented_and_no_other() -> None:
    """Compare the table with the calls in the source."""
    logs = find_section(read("how-to/run-in-production.md"), "Logs")
    documented = {event for cells in rows(logs.text) for event in re.findall(r"`(\w+)`", cells[0])}
    assert documented == {event for tree in _SOURCES for event in _written(tree)}
