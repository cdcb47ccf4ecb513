"""Define ``packhook selftest egress`` and ``packhook selftest receivers``; exit 0 only if every row is as expected."""

import asyncio
import os
from collections.abc import Sequence
from typing import Annotated

import typer

from packhook.cli.exits import Exit
from packhook.cli.selftest.namespace import run_isolated
from packhook.cli.selftest.receivers import PROMISE, rows_of_receivers
from packhook.cli.selftest.rows import Row, are_good, show

app = typer.Typer(no_args_is_help=True, help="Test this installation with hostile addresses and receivers.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command()
def egress(json: Json = False) -> None:
    """Try every spelling of an address that may not be connected to; nothing leaves this machine.

    Example: packhook selftest egress
    """
    _end(run_isolated(), json)


@app.command()
def receivers(json: Json = False) -> None:
    """Send to receivers that drip, flood, reset and lie: deadline, memory and outcome of each.

    Example: packhook selftest receivers
    """
    _end(asyncio.run(rows_of_receivers()), json, PROMISE)


def _end(rows: Sequence[Row], as_json: bool, promise: str = "") -> None:
    show(rows, as_json=as_json, promise=promise)
    if not are_good(rows, skipping="CI" not in os.environ):
        raise typer.Exit(Exit.FAILED)
