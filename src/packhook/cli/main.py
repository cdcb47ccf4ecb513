"""The ``packhook`` command: its subcommands, and how errors end the program."""

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from packhook import __version__
from packhook.cli.commands import Commands
from packhook.cli.exits import Exit, exit_code, fail
from packhook.core.errors import InvalidSettings, PackhookError


class _Root(TyperGroup):
    """Load subcommands lazily; turn packhook's errors into a message and an exit code."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 as Typer has it
        super().__init__(**options)
        commands: Any = Commands()  # Click wants a dict; a mapping is enough
        self.commands = commands

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 as Typer has it
        """Run the command line."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 must not end a command
        try:
            try:
                return super().main(*args, **options)
            finally:
                if sys.stdout is not None:  # None: closed by the caller
                    sys.stdout.flush()
        except InvalidSettings as error:
            fail(f"{error.title()}\n{error.detail}", exit_code(error))
        except PackhookError as error:
            fail(error.detail, exit_code(error))
        except OSError as error:  # mostly of the output: a full disk, a closed pipe
            sys.stdout = None  # or the interpreter tries to write again when it exits
            if isinstance(error, BrokenPipeError):
                raise SystemExit(int(Exit.FAILED)) from None
            fail(f"cannot write: {error.strerror or error}", Exit.FAILED)


app = typer.Typer(
    cls=_Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Webhooks for order events: stored durably, signed, delivered at least once.",
)


def _version(is_requested: bool) -> None:
    if is_requested:
        print(f"packhook {__version__}")  # noqa: T201 this is the command line
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read the options of ``packhook`` itself."""
