"""``packhook orders``: what happened to one order."""

from typing import Annotated, Any

import typer

from packhook.api import parameters
from packhook.cli.client import Client, Reply
from packhook.cli.exits import Exit, fail
from packhook.cli.options import client_command
from packhook.cli.tables import say, show_more

app = typer.Typer(no_args_is_help=True, help="Orders, by what their events say.")


@client_command(app, "show", query=parameters.PAGES)
def show_(
    client: Client,
    query: dict[str, str],
    order: Annotated[str, typer.Argument(help="The order's id, or a reference of it.")],
) -> None:
    """Show everything that happened to an order, in order of time. Example: packhook orders show A-10432 -o acme"""
    reply = _timeline(client, "subject", order, query)
    if not reply.value["data"]:
        reply = _timeline(client, "reference", order, query)
    if client.as_json:
        client.show(reply)
        return
    entries: list[dict[str, Any]] = reply.value["data"]
    if not entries:
        fail(f"no event has {order!r} as its order's id or reference", Exit.MISSING)
    for entry in entries:
        say(f"{entry['at']}  {entry['text']}")
    show_more(reply.value)


def _timeline(client: Client, name: str, text: str, query: dict[str, str]) -> Reply:
    return client.call("GET", client.path("timeline"), query={**query, name: text})
