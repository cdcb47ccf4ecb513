"""docs/how-to/find-out-why-an-endpoint-fails.md and the table of checks say what the doctor says."""

import errno
import re
from typing import Final

import pytest

from docs.pages import read, rows, sections
from packhook.api.serializers import endpoint_report
from packhook.cli.findings import show_findings
from packhook.core.connection_steps import Resolved
from packhook.core.endpoint_findings import Check, Examination, findings
from packhook.core.model import FailureKind, Outcome
from packhook.delivery.http.failure_reasons import connect_reason

_REFUSED: Final = Examination(
    url="https://192.0.2.1/",
    allow_http=False,
    steps=(Resolved(addresses=("192.0.2.1",), is_literal=True, is_proxied=False),),
    outcome=Outcome(failure=FailureKind.CONNECT),
    error_message=connect_reason(errno.ECONNREFUSED).detail,
    started_at=0,
    timeout=15_000,
)


def test_the_page_shows_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Print the findings of the page word for word."""
    page = read("how-to/find-out-why-an-endpoint-fails.md")
    (shown,) = re.findall(r"^```\n(Deliveries.*?)^```", page, re.MULTILINE | re.DOTALL)
    show_findings(endpoint_report(findings(_REFUSED)))
    assert capsys.readouterr().out == shown


def test_every_check_is_documented() -> None:
    """Have a row for each check, in order."""
    (section,) = [section for section in sections(read("reference/api.md")) if section.title == "Diagnose webhook"]
    assert [cells[0].strip("`") for cells in rows(section.text)] == list(Check)
