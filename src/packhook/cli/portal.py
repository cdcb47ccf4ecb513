"""``packhook portal``: let a customer see its own organization."""

from typing import Any

import typer

from packhook.api.schemas.portal import PortalSessionCreate
from packhook.cli.client import Client
from packhook.cli.options import client_command
from packhook_client import calls

app = typer.Typer(no_args_is_help=True, help="The portal: pages of one organization for its own people.")


@client_command(app, "link", schema=PortalSessionCreate)
def link(client: Client, fields: dict[str, Any]) -> None:
    """Create a link that works once and becomes a session of the organization.

    Example: packhook portal link -o acme --capabilities view,replay --expires-in 2h
    """
    client.show(client.send(calls.create_portal_session(**fields)))
