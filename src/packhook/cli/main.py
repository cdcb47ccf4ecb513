"""The ``packhook`` command: its subcommands, and how errors end the program."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from packhook import __version__
from packhook.cli.commands import Commands
from packhook.cli.exits import Exit, exit_code, fail
from packhook.core.errors import InvalidSettings, PackhookError
from packhook.core.text import visible_lines
from packhook_client.errors import InvalidArgument

_UsageError: Final[Any] = typer.BadParameter.__base__
"""Click's error for wrong arguments; Typer exports only some of its kinds."""


class _Root(TyperGroup):
    """Load subcommands lazily; turn packhook's errors into a message and an exit code."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 as Typer has it
        super().__init__(**options)
        commands: Any = Commands()  # Click wants a dict; a mapping is enough
        self.commands = commands

    def make_context(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 as Typer has it
        """Parse the arguments of ``packhook`` itself."""
        with _visible_usage_errors():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 as Typer has it
        """Run the subcommand."""
        with _visible_usage_errors():
            return super().invoke(ctx)

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
        except InvalidArgument as error:  # an id or a key that no request can have
            option = f"--{error.argument.replace('_', '-')}: " if error.argument else ""
            fail(option + error.message, Exit.USAGE)
        except UnicodeEncodeError as error:  # an argument or a variable with bytes that are not UTF-8
            fail(f"not UTF-8: {error.object[error.start : error.end]}", Exit.USAGE)
        except OSError as error:  # mostly of the output: a full disk, a closed pipe
            code = next(_exit_codes(error), Exit.FAILED)
            if isinstance(error, BrokenPipeError):
                raise SystemExit(int(code)) from None
            fail(f"cannot {f'use {error.filename}' if error.filename else 'write'}: {error.strerror or error}", code)
        finally:
            _abandon_unwritable()


@contextmanager
def _visible_usage_errors() -> Iterator[None]:
    """Escape what is not printable in a usage error, which repeats arguments."""
    try:
        yield
    except _UsageError as error:
        text = visible_lines(error.format_message())
        setattr(error, "format_message", lambda: text)  # noqa: B010 Typer calls it
        raise


def _exit_codes(error: BaseException) -> Iterator[Exit]:
    """Yield the exit codes of the errors during whose handling this one was raised: writing their messages failed."""
    while error.__context__ is not None:
        error = error.__context__
        if getattr(error, "exit_code", 0):  # 0: its output was held back, and could not be written at the end
            yield Exit(error.exit_code)  # type: ignore[attr-defined] # Click's


def _abandon_unwritable() -> None:
    """Drop streams that cannot be written to: at its end the interpreter would try again, and change the exit code."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            setattr(sys, name, None)


app = typer.Typer(
    cls=_Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="Exit codes: 0 success, 1 carried out without success, 2 wrong options or input, 3 no server, 4 no access, "
    "5 not found or a conflict.",
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
