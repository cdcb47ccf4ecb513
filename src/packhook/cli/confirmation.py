"""Ask before something is deleted: the question names the object and where it is."""

import sys

import typer

from packhook.cli.exits import Exit, fail
from packhook.core.text import visible


def confirm(question: str, *, is_confirmed: bool) -> None:
    """Return if the person agrees, or has agreed with ``--yes``; else exit.

    Without a terminal, exit with a message that names what was not done.
    """
    if is_confirmed:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        fail(f"{question}: there is no terminal to confirm it; give --yes", Exit.USAGE)
    typer.confirm(f"{visible(question)}?", abort=True, err=True)
