"""``packhook stats``: what the attempts of all webhooks came to. ``packhook webhooks stats`` shows those of one."""

from typing import Annotated, Final

import typer

from packhook.cli.client import Client
from packhook.cli.options import client_command
from packhook.cli.shared_options import SinceOption, UntilOption
from packhook_client import calls

app = typer.Typer()
COLUMNS: Final = (
    "start", "attempts", "delivered", "failed", "exhausted", "success_rate", "p50_ms", "p95_ms", "p99_ms"
)  # fmt: skip
StepOption = Annotated[str | None, typer.Option(help="Time between two lines, such as 15m, 1h or 1d.")]


@client_command(app, "stats", has_organization=False)
def stats(client: Client, since: SinceOption = "24h", until: UntilOption = None, step: StepOption = None) -> None:
    """Show the attempts of all webhooks over time (with the operator key). Example: packhook stats --since 7d"""
    client.show(client.send(calls.get_statistics(since=since, until=until, step=step)), COLUMNS)
