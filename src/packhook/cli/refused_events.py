"""``packhook refused-events``: events that were given up."""

from typing import Annotated

import typer

from packhook.api import parameters
from packhook.cli.client import Client, path
from packhook.cli.options import client_command
from packhook.cli.output import print_json
from packhook.cli.shared_options import AllOrganizationsOption
from packhook.cli.tables import show

app = typer.Typer(no_args_is_help=True, help="Events whose deliveries could not be made.")
_COLUMNS = ("id", "event_code", "created_at", "refused_at", "reason")
_Id = Annotated[str, typer.Argument(help="The event's id.")]


@client_command(app, "list", query=parameters.REFUSED_EVENTS)
def list_(
    client: Client,
    query: dict[str, str],
    everything: AllOrganizationsOption = False,
) -> None:
    """List events that were given up, newest first. Example: packhook refused-events list -o acme"""
    url = path("refused-events") if everything else client.path("refused-events")
    client.show_list(url, query, ("organization_id", *_COLUMNS) if everything else _COLUMNS)


@client_command(app, "retry")
def retry(client: Client, event_id: _Id) -> None:
    """Make the deliveries of an event now. Example: packhook refused-events retry evt_… -o acme"""
    client.show(client.call("POST", client.path("refused-events", event_id, "retry")))


@client_command(app, "retry-all")
def retry_all(client: Client, everything: AllOrganizationsOption = False) -> None:
    """Make the deliveries of all events that were given up now. Example: packhook refused-events retry-all -o acme"""
    url = path("refused-events", "retry") if everything else client.path("refused-events", "retry")
    retried, until = 0, ""
    while True:
        reply = client.call("POST", url, json={"refused_until": until} if until else {})
        retried, until = retried + reply.value["retried"], reply.value["refused_until"]
        if not reply.value["has_more"]:
            break
    if client.as_json:
        print_json(f'{{"retried":{retried}}}', client.output)
    else:
        show({"retried": retried})


@client_command(app, "discard", has_output=False, question=lambda event_id: f"Discard refused event {event_id}")
def discard(client: Client, event_id: _Id) -> None:
    """Leave an event without deliveries for good. Example: packhook refused-events discard evt_… -o acme"""
    client.call("DELETE", client.path("refused-events", event_id))
