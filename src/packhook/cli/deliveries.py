"""``packhook deliveries``: deliveries, their attempts, and retries."""

from typing import Annotated

import typer

from packhook.api import parameters
from packhook.cli.attempts import show_attempt
from packhook.cli.client import Client
from packhook.cli.options import client_command
from packhook.cli.shared_options import AllOrganizationsOption
from packhook.cli.tables import say, show
from packhook_client import calls

app = typer.Typer(no_args_is_help=True, help="Deliveries of an organization.")
_COLUMNS = ("id", "event_code", "webhook_id", "status", "attempt_count", "next_attempt_at", "created_at")
_Id = Annotated[str, typer.Argument(help="The delivery's id.")]


@client_command(app, "list", query=parameters.DELIVERIES)
def list_(
    client: Client,
    query: dict[str, str],
    everything: AllOrganizationsOption = False,
) -> None:
    """List deliveries, newest first. Example: packhook deliveries list -o acme --status exhausted"""
    listed = calls.list_all_deliveries if everything else calls.list_deliveries
    client.show_list(listed().with_query(**query), ("organization_id", *_COLUMNS) if everything else _COLUMNS)


@client_command(app, "show")
def show_(client: Client, delivery_id: _Id) -> None:
    """Show a delivery with every attempt and the next ones. Example: packhook deliveries show dlv_… -o acme"""
    reply = client.send(calls.get_delivery(delivery_id))
    if client.as_json:
        client.show(reply)
        return
    nested = ("attempts", "schedule", "interruptions")
    show({name: value for name, value in reply.value.items() if name not in nested})
    for attempt in reply.value["attempts"]:
        show_attempt(attempt)
    for interruption in reply.value["interruptions"]:
        say("")
        say(
            f"Attempt {interruption['attempt']}, interrupted, noticed at {interruption['noticed_at']}: "
            "outcome unknown, sent again"
        )
    if reply.value["schedule"]:
        say("Next attempts if every one fails: " + ", ".join(reply.value["schedule"]))


@client_command(app, "retry")
def retry(client: Client, delivery_id: _Id) -> None:
    """Send a delivery now: a finished one again, a waiting one before its time.

    Example: packhook deliveries retry dlv_… -o acme
    """
    client.show(client.send(calls.retry_delivery(delivery_id)))
