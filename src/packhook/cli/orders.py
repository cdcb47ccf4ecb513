"""``packhook orders``: what happened to one order."""

from typing import Annotated, Any

import typer

from packhook.api import parameters
from packhook.cli.client import Client
from packhook.cli.exits import Exit, fail
from packhook.cli.options import client_command
from packhook.cli.tables import say, show_more
from packhook_client import calls

app = typer.Typer(no_args_is_help=True, help="Orders, by what their events say.")


@client_command(app, "show", query=parameters.PAGES)
def show_(
    client: Client,
    query: dict[str, str],
    order: Annotated[str, typer.Argument(help="The order's id, or a reference of it.")],
) -> None:
    """Show everything that happened to an order, in order of time. Example: packhook orders show A-10432 -o acme"""
    is_subject = client.send(calls.get_timeline(subject=order, per_page=1)).value["data"]
    call = calls.get_timeline().with_query(**query, **{"subject" if is_subject else "reference": order})
    if client.as_json:
        client.show_list(call, ())
        return
    page: dict[str, Any] = {}
    for reply in client.read(call):
        page = reply.value
        for entry in page["data"]:
            say(f"{entry['at']}  {entry['text']}")
        if not page["data"] and "cursor" not in query:
            fail(f"no event has {order!r} as its order's id or reference", Exit.MISSING)
    show_more(page)
