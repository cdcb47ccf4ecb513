"""The ``packhook`` command: all there is to say, and how trouble is told."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from packhook import __version__
from packhook.cli import audit, deliveries, events, keys, organizations, webhooks
from packhook.cli.bench.command import bench
from packhook.cli.churn.command import churn
from packhook.cli.demo.command import demo
from packhook.cli.exits import exit_code, fail
from packhook.cli.listen import listen
from packhook.cli.migrate import migrate
from packhook.cli.prove.command import prove
from packhook.cli.selftest.command import app as selftest
from packhook.cli.serve import serve
from packhook.core.errors import InvalidSettings, PackhookError


class _Telling(TyperGroup):
    """Ends with a sentence and an exit code where packhook itself says what is wrong."""

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
app.command()(serve)
app.command()(demo)
app.command()(listen)
app.command()(bench)
app.command()(churn)
app.command()(prove)
app.command()(migrate)
app.add_typer(selftest, name="selftest")
app.add_typer(organizations.app, name="organizations")
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(events.app, name="events")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(audit.app, name="audit")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"packhook {__version__}")  # noqa: T201 this is the command line
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Webhooks for order events: stored durably, signed, delivered at least once."""
