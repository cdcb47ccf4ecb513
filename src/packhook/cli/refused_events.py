"""``packhook refused-events``: events that were given up."""

from typing import Annotated

import typer

from packhook.api import parameters
from packhook.cli.client import Client
from packhook.cli.options import client_command
from packhook.cli.output import print_json
from packhook.cli.shared_options import AllOrganizationsOption
from packhook.cli.tables import show
from packhook_client import calls

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
    listed = calls.list_all_refused_events if everything else calls.list_refused_events
    client.show_list(listed().with_query(**query), ("organization_id", *_COLUMNS) if everything else _COLUMNS)


@client_command(app, "retry")
def retry(client: Client, event_id: _Id) -> None:
    """Make the deliveries of an event now. Example: packhook refused-events retry evt_… -o acme"""
    client.show(client.send(calls.retry_refused_event(event_id)))


@client_command(app, "retry-all")
def retry_all(client: Client, everything: AllOrganizationsOption = False) -> None:
    """Make the deliveries of all events that were given up now. Example: packhook refused-events retry-all -o acme"""
    retry_some = calls.retry_all_refused_events if everything else calls.retry_refused_events
    retried, until = 0, None
    while True:
        reply = client.send(retry_some(refused_until=until))
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
    client.send(calls.discard_refused_event(event_id))
