"""Test the log: one line for each event, also for what a library logs."""

import json
import subprocess
import sys
from typing import Any, Final

import pytest

SAYING: Final = """
import logging
from packhook.telemetry.logs import configure_logs
configure_logs({level!r}, "json")
configure_logs({level!r}, "json")
logging.getLogger("uvicorn.error").info("started")
logging.getLogger("uvicorn.error").warning("two %s", "words")
try:
    raise RuntimeError("broke")
except RuntimeError:
    logging.getLogger("asyncio").exception("one line\\nand another")
"""


def said(level: str) -> list[dict[str, Any]]:
    """Return the lines of a process in which libraries log."""
    command = [sys.executable, "-c", SAYING.format(level=level)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in ran.stderr.splitlines()]


@pytest.mark.parametrize(("level", "count"), [("debug", 2), ("warning", 2), ("error", 1)])
def test_what_a_library_says_is_a_line_of_ours(level: str, count: int) -> None:
    """Once, with its trace inside; nothing below a warning, whatever the level is."""
    lines = said(level)
    assert len(lines) == count
    assert [(line["event"], line["level"], line["of"], line["detail"]) for line in lines] == [
        ("library_log", "warning", "uvicorn.error", "two words"),
        ("library_log", "error", "asyncio", "one line\nand another"),
    ][-count:]
    assert lines[-1]["exception"].endswith("RuntimeError: broke")
    assert "exception" not in lines[0] or count == 1
