"""``packhook keys``: an organization's API keys, and the master key that seals secrets. Only with the operator key."""

from typing import Annotated

import typer

from packhook.cli.client import DEFAULT_SERVER, AsJson, Key, Organization, Server, call, organization_path, part
from packhook.cli.tables import show
from packhook.core.model import SCOPES

app = typer.Typer(no_args_is_help=True, help="API keys of an organization (with the operator key).")
_COLUMNS = ("id", "name", "scopes", "prefix", "created_at", "expires_at", "last_used_at")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(SCOPES)}; absent: all of them.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="When it stops working, RFC 3339; absent: never.")] = None,
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Create an API key and print it, this once. Example: packhook keys create shop -o acme --scope events:publish"""
    body = {"name": name, "scopes": scope or list(SCOPES)} | ({"expires_at": expires_at} if expires_at else {})
    show(call(server, key, "POST", f"{organization_path(organization)}/api-keys", json=body), as_json)


@app.command("list")
def list_(
    cursor: Annotated[str | None, typer.Option(help="From the page before.")] = None,
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List API keys. Example: packhook keys list -o acme"""
    found = call(server, key, "GET", f"{organization_path(organization)}/api-keys", query={"cursor": cursor})
    show(found, as_json, _COLUMNS)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, from the list.")],
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
) -> None:
    """Revoke an API key: it stops working at once. Example: packhook keys revoke key_… -o acme"""
    call(server, key, "DELETE", f"{organization_path(organization)}/api-keys/{part(key_id)}")


@app.command("rotate-master")
def rotate_master(server: Server = DEFAULT_SERVER, key: Key = "", as_json: AsJson = False) -> None:
    """Seal all webhook secrets under a new master key, while serving. Example: packhook keys rotate-master"""
    show(call(server, key, "POST", "/master-key/rotate"), as_json)
