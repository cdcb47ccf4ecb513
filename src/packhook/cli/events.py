"""``packhook events``: publishing and reading events."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from packhook.cli.client import DEFAULT_SERVER, AsJson, Key, Organization, Server, call, organization_path, part
from packhook.cli.exits import Exit, fail
from packhook.cli.tables import show
from packhook.core.model import MAX_BATCH_EVENTS

app = typer.Typer(no_args_is_help=True, help="Events of an organization.")
_COLUMNS = ("id", "event_code", "created_at", "deliveries")


@app.command()
def publish(
    file: Annotated[str, typer.Argument(help="A file of events, or - for standard input.")] = "-",
    code: Annotated[str | None, typer.Option(help="The event code; the input then holds bare data objects.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key publishes once within 24 hours.")] = None,
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Publish events: an object, an array, {"events": […]}, or one object a line. All or nothing.

    Example: echo '{"id": "ord_1"}' | packhook events publish --code order.created -o acme
    """
    events = [{"event_code": code, "data": event} if code else event for event in _read(file)]
    if not 1 <= len(events) <= MAX_BATCH_EVENTS:
        fail(f"expected 1 to {MAX_BATCH_EVENTS} events, got {len(events)}", Exit.USAGE)
    headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
    path = f"{organization_path(organization)}/events"
    if len(events) == 1:
        receipt = call(server, key, "POST", path, body=_encode(events[0]), headers=headers)
        show(receipt, as_json)
    else:
        receipts = call(server, key, "POST", f"{path}/batch", body=_encode({"events": events}), headers=headers)
        show(receipts, as_json, _COLUMNS)


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _read(file: str) -> list[Any]:
    try:
        text = sys.stdin.buffer.read().decode("utf-8") if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeError) as error:
        fail(f"cannot read {file}: {error}", Exit.USAGE)
    try:
        whole = json.loads(text)
    except ValueError:
        return _lines(text)
    if isinstance(whole, list):
        return whole
    return whole["events"] if isinstance(whole, dict) and isinstance(whole.get("events"), list) else [whole]


def _lines(text: str) -> list[Any]:
    events = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            events.append(json.loads(line))
        except ValueError as error:
            fail(f"line {number} is not JSON: {error}", Exit.USAGE)
    return events


@app.command("list")
def list_(
    cursor: Annotated[str | None, typer.Option(help="From the page before.")] = None,
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List events, newest first. Example: packhook events list -o acme"""
    found = call(server, key, "GET", f"{organization_path(organization)}/events", query={"cursor": cursor})
    show(found, as_json, _COLUMNS[:3])


@app.command("show")
def show_(
    event_id: Annotated[str, typer.Argument(help="The event's id.")],
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Show an event with its deliveries. Example: packhook events show evt_… -o acme"""
    show(call(server, key, "GET", f"{organization_path(organization)}/events/{part(event_id)}"), as_json)
