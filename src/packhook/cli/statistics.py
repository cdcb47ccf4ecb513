"""``packhook stats``: what the attempts of all webhooks came to. ``packhook webhooks stats`` shows those of one."""

from typing import Annotated, Final

import typer

from packhook.cli.client import Client, path
from packhook.cli.options import client_command
from packhook.cli.shared_options import SinceOption, UntilOption

app = typer.Typer()
COLUMNS: Final = (
    "start", "attempts", "delivered", "failed", "exhausted", "success_rate", "p50_ms", "p95_ms", "p99_ms"
)  # fmt: skip
StepOption = Annotated[str | None, typer.Option(help="Time between two lines, such as 15m, 1h or 1d.")]


def show_statistics(client: Client, url: str, since: str | None, until: str | None, step: str | None) -> None:
    """Print a series as a table, a line for each step."""
    query = {"from": since, "to": until, "step": step}
    client.show(client.call("GET", url, query={name: value for name, value in query.items() if value}), COLUMNS)


@client_command(app, "stats", has_organization=False)
def stats(client: Client, since: SinceOption = "24h", until: UntilOption = None, step: StepOption = None) -> None:
    """Show the attempts of all webhooks over time (with the operator key). Example: packhook stats --since 7d"""
    show_statistics(client, path("stats"), since, until, step)
