"""Test the log: one line for each event, also for what a library logs."""

import json
import re
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


HOSTILE: Final = """
import logging, structlog
from packhook.telemetry.logs import configure_logs
configure_logs("info", {log_format!r})
log = structlog.get_logger("packhook.test")
log.warning("attempt_failed", detail="A\\x1b[31mB\\u202e\\x9b\\u200bend", **{{"name\\x1b": 1}})
try:
    raise RuntimeError("broke\\x1b[31m\\u202e")
except RuntimeError:
    log.exception("send_failed")
logging.getLogger("asyncio").error("said\\x1b[31m\\u202e")
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_value_controls_the_terminal(log_format: str) -> None:
    """Escape what came from outside, in values, names and tracebacks; the colours of the console are our own."""
    command = [sys.executable, "-c", HOSTILE.format(log_format=log_format)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    shown = re.sub(r"\x1b\[\d*m", "", ran.stderr) if log_format == "console" else ran.stderr
    assert shown.replace("\n", "").isprintable()
    assert "\x1b[31mB" not in ran.stderr
    assert [text for text in ("\\u202e", "\\u200b", "send_failed", "broke") if text not in shown] == []
