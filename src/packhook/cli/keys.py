"""``packhook keys``: an organization's API keys, and the master key. Only with the operator key."""

from typing import Annotated

import typer

from packhook.api import parameters
from packhook.cli.client import Client
from packhook.cli.options import client_command
from packhook.core.model import SCOPES
from packhook_client import calls

app = typer.Typer(no_args_is_help=True, help="API keys of an organization (with the operator key).")
_COLUMNS = ("id", "name", "scopes", "prefix", "created_at", "expires_at", "last_used_at")


@client_command(app, "create")
def create(
    client: Client,
    name: Annotated[str, typer.Argument(help="What the key is for.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(SCOPES)}; may be repeated. Without it: all of them.")
    ] = None,
    expires_at: Annotated[str | None, typer.Option(help="When it expires, RFC 3339; without it: never.")] = None,
) -> None:
    """Create an API key and print it, this once. Example: packhook keys create shop -o acme --scope events:publish"""
    call = calls.create_api_key(name=name, scopes=scope or list(SCOPES), expires_at=expires_at)
    client.show(client.send(call))


@client_command(app, "list", query=parameters.API_KEYS)
def list_(client: Client, query: dict[str, str]) -> None:
    """List API keys. Example: packhook keys list -o acme"""
    client.show_list(calls.list_api_keys().with_query(**query), _COLUMNS)


@client_command(app, "revoke", has_output=False, question=lambda key_id: f"Revoke API key {key_id}")
def revoke(client: Client, key_id: Annotated[str, typer.Argument(help="The key's id, from the list.")]) -> None:
    """Revoke an API key: it stops working at once. Example: packhook keys revoke key_… -o acme"""
    client.send(calls.revoke_api_key(key_id))


@client_command(app, "rotate-master", has_organization=False)
def rotate_master(client: Client) -> None:
    """Encrypt all webhook secrets under a new master key, while serving. Example: packhook keys rotate-master"""
    client.show(client.send(calls.rotate_master_key()))
