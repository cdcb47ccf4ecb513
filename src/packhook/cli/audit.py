"""``packhook audit``: who did what, when, and from where."""

from typing import Annotated, Any

import typer

from packhook.api import parameters
from packhook.cli.client import Client, path
from packhook.cli.commands import exclusive
from packhook.cli.exits import Exit, fail
from packhook.cli.options import client_command
from packhook.cli.tables import show

app = typer.Typer(no_args_is_help=True, help="The audit trail: of an organization, or with the operator key of all.")
_COLUMNS = ("created_at", "organization_id", "actor", "source", "action", "object_id", "changes", "reason")


@client_command(app, "list", query=parameters.AUDIT_ALL)
@exclusive(("--all", "--organization"))
def list_(
    client: Client,
    query: dict[str, str],
    everything: Annotated[bool, typer.Option("--all", help="Of the whole instance, with the operator key.")] = False,
) -> None:
    """List audit entries, newest first. Example: packhook audit list -o acme --action webhook.updated"""
    if "organization_id" in query and not everything:
        fail("--organization-id needs --all; for one organization's trail use --organization", Exit.USAGE)
    reply = client.call("GET", path("audit") if everything else client.path("audit"), query=query)
    if client.as_json:
        client.show(reply)
        return
    entries = [{**entry, "changes": [_text(change) for change in entry["changes"]]} for entry in reply.value["data"]]
    show({**reply.value, "data": entries}, _COLUMNS)


def _text(change: dict[str, Any]) -> str:
    values = [_value(value) for value in (change["before"], change["after"]) if value is not None]
    return f"{change['field']}: {' → '.join(values)}" if values else str(change["field"])


def _value(value: str | bool) -> str:
    return value if isinstance(value, str) else "yes" if value else "no"
