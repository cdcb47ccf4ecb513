"""Define ``packhook selftest egress`` and ``packhook selftest receivers``; exit 0 only if every row is as expected."""

import asyncio
import os
from collections.abc import Sequence

import typer

from packhook.cli.commands import StrictCommand
from packhook.cli.exits import Exit
from packhook.cli.output import Output, OutputOption
from packhook.cli.selftest.namespace import run_isolated
from packhook.cli.selftest.receivers import PROMISE, rows_of_receivers
from packhook.cli.selftest.rows import Row, are_good, show

app = typer.Typer(no_args_is_help=True, help="Test this installation with hostile addresses and receivers.")


@app.command(cls=StrictCommand)
def egress(output: OutputOption = Output.TABLE) -> None:
    """Try every spelling of an address that may not be connected to; nothing leaves this machine.

    Example: packhook selftest egress
    """
    _end(run_isolated(), output)


@app.command(cls=StrictCommand)
def receivers(output: OutputOption = Output.TABLE) -> None:
    """Send to receivers that drip, flood, reset and lie: deadline, memory and outcome of each.

    Example: packhook selftest receivers
    """
    _end(asyncio.run(rows_of_receivers()), output, PROMISE)


def _end(rows: Sequence[Row], output: Output, promise: str = "") -> None:
    show(rows, output, promise=promise)
    if not are_good(rows, skipping="CI" not in os.environ):
        raise typer.Exit(Exit.FAILED)
