"""``packhook audit``: who did what, when, and from where."""

from typing import Annotated

import typer

from packhook.cli.client import DEFAULT_SERVER, AsJson, Key, Organization, Server, call, organization_path
from packhook.cli.exits import Exit, fail
from packhook.cli.tables import show

app = typer.Typer(no_args_is_help=True, help="The audit trail: of an organization, or with the operator key of all.")
_COLUMNS = ("created_at", "organization_id", "actor", "source", "action", "object_id", "changes", "reason")


@app.command("list")
def list_(
    action: Annotated[str | None, typer.Option(help="Only this action, such as webhook.updated.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only by operator, packhook or this API key's id.")] = None,
    object_id: Annotated[str | None, typer.Option(help="Only about the thing with this id.")] = None,
    since: Annotated[str | None, typer.Option(help="Done at this time or later, RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option(help="Done before this time, RFC 3339.")] = None,
    per_page: Annotated[int | None, typer.Option(help="How many, 1 to 100.")] = None,
    cursor: Annotated[str | None, typer.Option(help="From the page before.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Of the whole instance, with the operator key.")] = False,
    of: Annotated[str | None, typer.Option(help="With --all: only of this organization, deleted or not.")] = None,
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List audit entries, newest first. Example: packhook audit list -o acme --action webhook.updated"""
    query = {
        "action": action, "actor": actor, "object_id": object_id, "since": since, "until": until,
        "per_page": per_page, "cursor": cursor, "organization_id": of,
    }  # fmt: skip
    if of is not None and not everything:
        fail("--of goes with --all; for one organization's trail: --organization", Exit.USAGE)
    path = "/audit" if everything else f"{organization_path(organization)}/audit"
    found = call(server, key, "GET", path, query=query)
    if not as_json:
        for each in found["data"]:
            each["changes"] = [_told(change) for change in each["changes"]]
    show(found, as_json, _COLUMNS)


def _told(change: dict[str, str | bool | None]) -> str:
    values = [_text(value) for value in (change["before"], change["after"]) if value is not None]
    return f"{change['field']}: {' → '.join(values)}" if values else str(change["field"])


def _text(value: str | bool) -> str:
    return value if isinstance(value, str) else "yes" if value else "no"
