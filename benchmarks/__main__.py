"""Run a benchmark: ``python -m benchmarks [COMMAND] [OPTIONS]``; ``events`` is the default."""

import sys
from collections.abc import Callable
from typing import Final

import typer

from benchmarks.ageing.command import ageing
from benchmarks.claims.command import claims
from benchmarks.command import events
from benchmarks.isolation.command import isolation
from benchmarks.pages import pages

COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "events": events,
    "ageing": ageing,
    "claims": claims,
    "isolation": isolation,
    "pages": pages,
}

app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Measure packhook on this machine.")
for name, command in COMMANDS.items():
    app.command(name)(command)


def with_default_command(arguments: list[str]) -> list[str]:
    """Return the arguments with ``events`` in front where they name no command and do not ask for help."""
    return arguments if arguments[:1] and arguments[0] in (*COMMANDS, "--help") else ["events", *arguments]


if __name__ == "__main__":
    app(with_default_command(sys.argv[1:]), prog_name="python -m benchmarks")
