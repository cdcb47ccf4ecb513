"""``packhook webhooks``: subscriptions of an organization."""

from typing import Annotated, Any, Final

import typer

from packhook.api import parameters
from packhook.api.schemas.webhooks import SecretRotate, WebhookUpdate
from packhook.cli.client import Client
from packhook.cli.events import read_input
from packhook.cli.exits import Exit, fail
from packhook.cli.files import read_text
from packhook.cli.findings import exit_by_level, show_findings
from packhook.cli.health import HEALTH_COLUMNS, show_health
from packhook.cli.options import client_command
from packhook.cli.shared_options import (
    AllOrganizationsOption,
    EtagOption,
    EventCodeOption,
    IfMatchOption,
    SinceOption,
    UntilOption,
)
from packhook.cli.statistics import COLUMNS as STATISTICS
from packhook.cli.statistics import StepOption
from packhook.cli.tables import show
from packhook_client import calls
from packhook_client.call import Call

app = typer.Typer(no_args_is_help=True, help="Webhooks of an organization.")
_COLUMNS = ("id", "event_code", "endpoint", "enabled", "failing_since", "disables_at", "created_at")
_Id = Annotated[str, typer.Argument(help="The webhook's id.")]
_Certificate = Annotated[str | None, typer.Option(help="PEM file, shown to an endpoint that asks for one; '': none.")]
_ClientKey = Annotated[str | None, typer.Option(help="PEM file with the certificate's private key.")]
MAX_PEM_BYTES: Final = 1024 * 1024
_WhenProven = Annotated[
    bool, typer.Option("--when-proven", help="End the overlap when the endpoint accepts the new secret alone.")
]


def _certificate(certificate: str | None, key: str | None) -> dict[str, Any]:
    """Read the two files into one field; no field if neither was given, an empty one if both are empty."""
    if certificate is None and key is None:
        return {}
    files = {"certificate": certificate, "key": key}
    read = {name: read_text(file, MAX_PEM_BYTES, f"--client-{name}") for name, file in files.items() if file}
    return {"client_certificate": read}


@client_command(app, "create", schema=WebhookUpdate)
def create(
    client: Client,
    fields: dict[str, Any],
    disabled: Annotated[bool, typer.Option("--disabled", help="Create it without sending to it yet.")] = False,
    client_certificate: _Certificate = None,
    client_key: _ClientKey = None,
) -> None:
    """Create a webhook. Without --secret, packhook makes a secret and prints it.

    Example: packhook webhooks create -o acme --event-code order.created --endpoint https://…
    """
    body = {**fields, **_certificate(client_certificate, client_key)}
    if disabled:
        body["enabled"] = False
    given = {"event_code": None, "endpoint": None, **body}  # the node says what is missing
    client.show(client.send(calls.create_webhook(**given)))


@client_command(app, "list", query=parameters.WEBHOOKS)
def list_(
    client: Client,
    query: dict[str, str],
    everything: AllOrganizationsOption = False,
) -> None:
    """List webhooks. Example: packhook webhooks list -o acme"""
    listed = calls.list_all_webhooks if everything else calls.list_webhooks
    columns = ("organization_id", *_COLUMNS) if everything else _COLUMNS
    client.show_list(listed().with_query(**query), columns)


@client_command(app, "show")
def show_(
    client: Client,
    webhook_id: _Id,
    etag: EtagOption = False,
) -> None:
    """Show a webhook. Example: packhook webhooks show wh_… -o acme"""
    client.show_or_tag(client.send(calls.get_webhook(webhook_id)), etag=etag)


@client_command(app, "update", schema=WebhookUpdate)
def update(
    client: Client,
    fields: dict[str, Any],
    webhook_id: _Id,
    client_certificate: _Certificate = None,
    client_key: _ClientKey = None,
    if_match: IfMatchOption = None,
) -> None:
    """Change the fields that are given, keep the others.

    Example: packhook webhooks update wh_… -o acme --rate-limit 10
    """
    body = {**fields, **_certificate(client_certificate, client_key)}
    if not body:
        fail("nothing was changed: give the fields to change as options", Exit.USAGE)
    client.show(client.send(calls.update_webhook(webhook_id, **body, if_match=if_match)))


@client_command(app, "enable")
def enable(client: Client, webhook_id: _Id) -> None:
    """Enable a webhook; deliveries that waited are sent. Example: packhook webhooks enable wh_… -o acme"""
    client.show(client.send(calls.update_webhook(webhook_id, enabled=True)))


@client_command(app, "disable")
def disable(client: Client, webhook_id: _Id) -> None:
    """Disable a webhook; its deliveries wait. Example: packhook webhooks disable wh_… -o acme"""
    client.show(client.send(calls.update_webhook(webhook_id, enabled=False)))


@client_command(app, "rotate-secret", schema=SecretRotate)
def rotate_secret(
    client: Client,
    fields: dict[str, Any],
    webhook_id: _Id,
    when_proven: _WhenProven = False,
    if_match: IfMatchOption = None,
) -> None:
    """Rotate the secret: for a while, the new one and the one before both sign.

    Example: packhook webhooks rotate-secret wh_… -o acme --overlap 48h
    """
    body = fields | ({"finish": "when_proven"} if when_proven else {})
    client.show(client.send(calls.rotate_secret(webhook_id, **body, if_match=if_match)))


@client_command(app, "delete", has_output=False, question=lambda webhook_id, **_: f"Delete webhook {webhook_id}")
def delete(client: Client, webhook_id: _Id, if_match: IfMatchOption = None) -> None:
    """Delete a webhook, after a question. Example: packhook webhooks delete wh_… -o acme"""
    client.send(calls.delete_webhook(webhook_id, if_match=if_match))


@client_command(app, "test")
def send_test(
    client: Client,
    webhook_id: _Id,
    event_code: EventCodeOption = None,
) -> None:
    """Send an example event now and show the exchange; exit 1 if it failed. Example: packhook webhooks test wh_…"""
    _show_exchange(client, calls.send_test_event(webhook_id, event_code=event_code), "delivered")


@client_command(app, "diagnose")
def diagnose(client: Client, webhook_id: _Id) -> None:
    """Say what is wrong with the endpoint and how to fix it; exit 1 if deliveries fail.

    Example: packhook webhooks diagnose wh_… -o acme
    """
    reply = client.send(calls.diagnose_webhook(webhook_id))
    if client.as_json:
        client.show(reply)
    else:
        show_findings(reply.value)
    exit_by_level(reply.value)


@client_command(app, "match")
def match(
    client: Client,
    webhook_id: _Id,
    file: Annotated[str, typer.Argument(help="A file with the event's data, or - for standard input.")] = "-",
    event_code: EventCodeOption = None,
    event_id: Annotated[str | None, typer.Option(help="Match an event that was published, in place of data.")] = None,
) -> None:
    """Say whether it would get an event, and why not; exit 1 if not.

    Example: echo '{"id": "ord_1"}' | packhook webhooks match wh_… --event-code order.created -o acme
    """
    if (event_code is None) == (event_id is None):
        fail("expected --event-code and data, or --event-id", Exit.USAGE)
    data = read_input(file) if event_id is None else None
    reply = client.send(calls.match_event(webhook_id, event_code=event_code, data=data, event_id=event_id))
    client.show(reply)
    if not reply.value["matches"]:
        raise typer.Exit(Exit.FAILED)


@client_command(app, "verify")
def verify(client: Client, webhook_id: _Id) -> None:
    """Ask the endpoint whether it wants events; exit 1 if not. Example: packhook webhooks verify wh_…"""
    _show_exchange(client, calls.verify_webhook(webhook_id), "verified")


@client_command(app, "health")
def health(client: Client, webhook_id: _Id) -> None:
    """Say how a webhook is, what waits for it, and why. Example: packhook webhooks health wh_… -o acme"""
    reply = client.send(calls.get_webhook_health(webhook_id))
    if client.as_json:
        client.show(reply)
    else:
        show_health(reply.value)


@client_command(app, "unhealthy", query=parameters.HEALTH, has_organization=False)
def unhealthy(client: Client, query: dict[str, str]) -> None:
    """List webhooks of all organizations by state (with the operator key), by default those that fail.

    Example: packhook webhooks unhealthy --state held
    """
    call = calls.list_webhook_health(state="failing").with_query(**query)
    client.show_list(call, HEALTH_COLUMNS)


@client_command(app, "stats")
def stats(
    client: Client, webhook_id: _Id, since: SinceOption = "24h", until: UntilOption = None, step: StepOption = None
) -> None:
    """Show its attempts over time. Example: packhook webhooks stats wh_… -o acme --since 24h"""
    call = calls.get_webhook_statistics(webhook_id, since=since, until=until, step=step)
    client.show(client.send(call), STATISTICS)


def _show_exchange(client: Client, call: Call[Any], result: str) -> None:
    reply = client.send(call)
    if client.as_json:
        client.show(reply)
    else:
        show({result: reply.value[result], **reply.value["attempt"]})
    if not reply.value[result]:
        raise typer.Exit(Exit.FAILED)
