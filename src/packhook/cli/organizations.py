"""``packhook organizations``: tenants. Only with the operator key."""

from typing import Annotated, Any

import typer

from packhook.api import parameters
from packhook.api.schemas.organizations import OrganizationUpdate
from packhook.cli.client import Client
from packhook.cli.options import client_command
from packhook_client import calls

app = typer.Typer(no_args_is_help=True, help="Organizations (with the operator key).")
_COLUMNS = ("id", "name", "created_at")
_Retention = Annotated[str | None, typer.Option(help=OrganizationUpdate.model_fields["retention"].description)]
_Id = Annotated[str, typer.Argument(help="The organization's id.")]


@client_command(app, "create", has_organization=False)
def create(
    client: Client,
    organization_id: Annotated[str | None, typer.Argument(help="An id of your choice; without it, a new one.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    retention: _Retention = None,
) -> None:
    """Create an organization. Example: packhook organizations create acme --name 'Acme Outfitters'"""
    client.show(client.send(calls.create_organization(organization_id, name=name, retention=retention)))


@client_command(app, "update", schema=OrganizationUpdate, has_organization=False)
def update(client: Client, organization_id: _Id, fields: dict[str, Any]) -> None:
    """Update an organization. Example: packhook organizations update acme --retention 90d"""
    client.show(client.send(calls.update_organization(organization_id, **fields)))


@client_command(app, "list", query=parameters.ORGANIZATIONS, has_organization=False)
def list_(client: Client, query: dict[str, str]) -> None:
    """List organizations. Example: packhook organizations list"""
    client.show_list(calls.list_organizations().with_query(**query), _COLUMNS)


@client_command(app, "show", has_organization=False)
def show_(client: Client, organization_id: _Id) -> None:
    """Show an organization. Example: packhook organizations show acme"""
    client.show(client.send(calls.get_organization(organization_id)))


@client_command(
    app, "delete", has_organization=False, has_output=False,
    question=lambda organization_id: f"Delete organization {organization_id} with its keys and webhooks",
)  # fmt: skip
def delete(client: Client, organization_id: _Id) -> None:
    """Delete an organization: its keys and webhooks stop at once. Example: packhook organizations delete acme"""
    client.send(calls.delete_organization(organization_id))
