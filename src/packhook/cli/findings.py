"""Print what was found about an endpoint: a line for each check, and the fix below it."""

from typing import Any, Final

import typer

from packhook.cli.exits import Exit
from packhook.cli.tables import say
from packhook.core.endpoint_findings import Level

_MARKS: Final = {Level.OK: "ok     ", Level.WARNING: "WARNING", Level.PROBLEM: "PROBLEM"}


def show_findings(report: dict[str, Any]) -> None:
    """Print the summary, then each finding with its fix."""
    say(report["summary"])
    say("")
    for finding in report["findings"]:
        say(f"{_MARKS[Level(finding['level'])]}  {finding['check']:<11}  {finding['message']}")
        if finding["fix"]:
            say(f"{'':9}{'':11}  Fix: {finding['fix']}")


def exit_by_level(report: dict[str, Any]) -> None:
    """Exit with 1 if there is a problem."""
    if report["level"] == Level.PROBLEM:
        raise typer.Exit(Exit.FAILED)
