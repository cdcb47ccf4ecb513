"""``packhook webhooks``: who is told of what."""

from pathlib import Path
from typing import Annotated, Any

import typer

from packhook.cli.client import DEFAULT_SERVER, AsJson, Key, Organization, Server, call, organization_path, part
from packhook.cli.exits import Exit, fail
from packhook.cli.tables import show
from packhook.core.signatures.standard import new_secret

app = typer.Typer(no_args_is_help=True, help="Webhooks of an organization.")
_COLUMNS = ("id", "event_code", "endpoint", "enabled", "failing_since", "disables_at", "created_at")
_Id = Annotated[str, typer.Argument(help="The webhook's id.")]
_EventCode = Annotated[str | None, typer.Option(help="order.created, order.shipped or order.canceled.")]
_Endpoint = Annotated[str | None, typer.Option(help="The URL the event data is sent to.")]
_Secret = Annotated[str | None, typer.Option(help="Used for signing; on create, absent: one is made.")]
_Description = Annotated[str | None, typer.Option(help="For people.")]
_Header = Annotated[list[str] | None, typer.Option(help="NAME:VALUE, sent with each request.")]
_Rate = Annotated[float | None, typer.Option(help="Deliveries a second; 0 is no limit.")]
_Timeout = Annotated[float | None, typer.Option(help="For one attempt, 1 to 30; 0 is the instance's.")]
_Schedule = Annotated[str | None, typer.Option(help="Waits between attempts: 5s,5m,2h.")]
_Certificate = Annotated[str | None, typer.Option(help="PEM file, shown to an endpoint that asks for one; '': none.")]
_ClientKey = Annotated[str | None, typer.Option(help="PEM file with the certificate's private key.")]


def _path(organization: str, webhook_id: str = "") -> str:
    return f"{organization_path(organization)}/webhooks" + (f"/{part(webhook_id)}" if webhook_id else "")


def _body(headers: list[str] | None, schedule: str | None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 any JSON
    body = {name: value for name, value in fields.items() if value is not None}
    wrong = [each for each in headers or () if ":" not in each]
    if wrong:
        fail(f"--header: expected NAME:VALUE, got {', '.join(map(repr, wrong))}", Exit.USAGE)
    if headers is not None:
        body["headers"] = {name.strip(): value.strip() for name, _, value in (each.partition(":") for each in headers)}
    if schedule is not None:
        body["retry_schedule"] = [wait.strip() for wait in schedule.split(",") if wait.strip()]
    return body


def _certificate(certificate: str | None, key: str | None) -> dict[str, str] | None:
    """The two files as one member; None where neither is said, nothing in it where both are empty."""
    if certificate is None and key is None:
        return None
    said = {"certificate": certificate, "key": key}
    return {name: _read(f"--client-{name}", file) for name, file in said.items() if file}


def _read(option: str, file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        fail(f"{option}: cannot read {file}: {said}", Exit.USAGE)


@app.command()
def create(
    event_code: _EventCode = None,
    endpoint: _Endpoint = None,
    secret: _Secret = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Create it without sending to it yet.")] = False,
    description: _Description = None,
    header: _Header = None,
    rate_limit: _Rate = None,
    timeout_seconds: _Timeout = None,
    retry_schedule: _Schedule = None,
    client_certificate: _Certificate = None,
    client_key: _ClientKey = None,
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Create a webhook. Example: packhook webhooks create -o acme --event-code order.created --endpoint https://…"""
    body = _body(
        header, retry_schedule, event_code=event_code, endpoint=endpoint, secret=secret or new_secret(),
        enabled=False if disabled else None, description=description, rate_limit=rate_limit,
        timeout_seconds=timeout_seconds, client_certificate=_certificate(client_certificate, client_key),
    )  # fmt: skip
    show(call(server, key, "POST", _path(organization), json=body), as_json)


@app.command("list")
def list_(
    event_code: _EventCode = None,
    cursor: Annotated[str | None, typer.Option(help="From the page before.")] = None,
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List webhooks. Example: packhook webhooks list -o acme"""
    query = {"event_code": event_code, "cursor": cursor}
    show(call(server, key, "GET", _path(organization), query=query), as_json, _COLUMNS)


@app.command("show")
def show_(
    webhook_id: _Id, organization: Organization = "", server: Server = DEFAULT_SERVER, key: Key = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show a webhook. Example: packhook webhooks show wh_… -o acme"""
    show(call(server, key, "GET", _path(organization, webhook_id)), as_json)


@app.command()
def update(
    webhook_id: _Id,
    event_code: _EventCode = None,
    endpoint: _Endpoint = None,
    secret: _Secret = None,
    description: _Description = None,
    header: _Header = None,
    rate_limit: _Rate = None,
    timeout_seconds: _Timeout = None,
    retry_schedule: _Schedule = None,
    client_certificate: _Certificate = None,
    client_key: _ClientKey = None,
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Change a webhook; what is not said stays. Example: packhook webhooks update wh_… -o acme --rate-limit 10"""
    body = _body(
        header, retry_schedule, event_code=event_code, endpoint=endpoint, secret=secret, description=description,
        rate_limit=rate_limit, timeout_seconds=timeout_seconds,
        client_certificate=_certificate(client_certificate, client_key),
    )  # fmt: skip
    show(call(server, key, "PUT", _path(organization, webhook_id), json=body), as_json)


@app.command()
def enable(
    webhook_id: _Id, organization: Organization = "", server: Server = DEFAULT_SERVER, key: Key = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Send to a webhook again, what waited included. Example: packhook webhooks enable wh_… -o acme"""
    show(call(server, key, "PUT", _path(organization, webhook_id), json={"enabled": True}), as_json)


@app.command()
def disable(
    webhook_id: _Id, organization: Organization = "", server: Server = DEFAULT_SERVER, key: Key = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Stop sending to a webhook; keep everything. Example: packhook webhooks disable wh_… -o acme"""
    show(call(server, key, "PUT", _path(organization, webhook_id), json={"enabled": False}), as_json)


@app.command()
def delete(webhook_id: _Id, organization: Organization = "", server: Server = DEFAULT_SERVER, key: Key = "") -> None:
    """Delete a webhook. Example: packhook webhooks delete wh_… -o acme"""
    call(server, key, "DELETE", _path(organization, webhook_id))


@app.command("test")
def send_test(
    webhook_id: _Id, organization: Organization = "", server: Server = DEFAULT_SERVER, key: Key = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Send an example event now and show the exchange; exit 1 if it failed. Example: packhook webhooks test wh_…"""
    exchange = call(server, key, "POST", _path(organization, webhook_id) + "/test")
    show(exchange if as_json else {"delivered": exchange["delivered"], **exchange["attempt"]}, as_json)
    if not exchange["delivered"]:
        raise typer.Exit(Exit.FAILED)


@app.command()
def verify(
    webhook_id: _Id, organization: Organization = "", server: Server = DEFAULT_SERVER, key: Key = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Ask the endpoint whether it wants to be sent to; exit 1 if not. Example: packhook webhooks verify wh_…"""
    answer = call(server, key, "POST", _path(organization, webhook_id) + "/verify")
    show(answer if as_json else {"verified": answer["verified"], **answer["attempt"]}, as_json)
    if not answer["verified"]:
        raise typer.Exit(Exit.FAILED)
