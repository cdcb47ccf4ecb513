"""The ``packhook`` command: all there is to say, and how trouble is told."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from packhook import __version__
from packhook.cli.commands import Commands
from packhook.cli.exits import exit_code, fail
from packhook.core.errors import InvalidSettings, PackhookError


class _Telling(TyperGroup):
    """Ends with a sentence and an exit code where packhook itself says what is wrong."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 as Typer has it
        super().__init__(**given)
        commands: Any = Commands()  # Click's own may be added to
        self.commands = commands

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 as Typer has it
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except InvalidSettings as error:
            fail(f"{error.title()}\n{error.detail}", exit_code(error))
        except PackhookError as error:
            fail(error.detail, exit_code(error))


app = typer.Typer(
    cls=_Telling,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Webhooks for order events: stored durably, signed, delivered at least once.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"packhook {__version__}")  # noqa: T201 this is the command line
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Webhooks for order events: stored durably, signed, delivered at least once."""
