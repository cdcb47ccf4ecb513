"""``packhook audit``: who did what, when, and from where."""

from typing import Any

import typer

from packhook.api import parameters
from packhook.cli.client import Client
from packhook.cli.commands import exclusive
from packhook.cli.exits import Exit, fail
from packhook.cli.options import client_command
from packhook.cli.shared_options import AllOrganizationsOption
from packhook_client import calls

app = typer.Typer(no_args_is_help=True, help="The audit trail: of an organization, or with the operator key of all.")
_COLUMNS = ("created_at", "organization_id", "actor", "source", "action", "object_id", "changes", "reason")


@client_command(app, "list", query=parameters.AUDIT_ALL)
@exclusive(("--all-organizations", "--organization"))
def list_(
    client: Client,
    query: dict[str, str],
    everything: AllOrganizationsOption = False,
) -> None:
    """List audit entries, newest first. Example: packhook audit list -o acme --action webhook.updated"""
    if "organization_id" in query and not everything:
        fail("--organization-id needs --all-organizations; for one organization's trail use --organization", Exit.USAGE)
    listed = calls.list_all_audit_entries if everything else calls.list_audit_entries
    client.show_list(listed().with_query(**query), _COLUMNS, _row)


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "changes": [_text(change) for change in entry["changes"]]}


def _text(change: dict[str, Any]) -> str:
    values = [_value(value) for value in (change["before"], change["after"]) if value is not None]
    return f"{change['field']}: {' → '.join(values)}" if values else str(change["field"])


def _value(value: str | bool) -> str:
    return value if isinstance(value, str) else "yes" if value else "no"
