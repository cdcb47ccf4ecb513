"""``packhook organizations``: tenants. Only with the operator key."""

from typing import Annotated

import typer

from packhook.cli.client import DEFAULT_SERVER, AsJson, Key, Server, call, part
from packhook.cli.tables import show

app = typer.Typer(no_args_is_help=True, help="Organizations (with the operator key).")
_COLUMNS = ("id", "name", "created_at")
_Id = Annotated[str, typer.Argument(help="The organization's id.")]


@app.command()
def create(
    organization_id: Annotated[str, typer.Argument(help="An id of your choice; absent: one is made.")] = "",
    name: Annotated[str, typer.Option(help="A name for people.")] = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Create an organization. Example: packhook organizations create acme --name 'Acme Outfitters'"""
    body = {k: v for k, v in {"id": organization_id, "name": name}.items() if v}
    show(call(server, key, "POST", "/organizations", json=body), as_json)


@app.command("list")
def list_(
    cursor: Annotated[str | None, typer.Option(help="From the page before.")] = None,
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List organizations. Example: packhook organizations list"""
    show(call(server, key, "GET", "/organizations", query={"cursor": cursor}), as_json, _COLUMNS)


@app.command("show")
def show_(organization_id: _Id, server: Server = DEFAULT_SERVER, key: Key = "", as_json: AsJson = False) -> None:
    """Show an organization. Example: packhook organizations show acme"""
    show(call(server, key, "GET", f"/organizations/{part(organization_id)}"), as_json)


@app.command()
def delete(organization_id: _Id, server: Server = DEFAULT_SERVER, key: Key = "") -> None:
    """Delete an organization: its keys and webhooks stop at once. Example: packhook organizations delete acme"""
    call(server, key, "DELETE", f"/organizations/{part(organization_id)}")
