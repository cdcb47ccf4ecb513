"""``packhook events``: publish and read events."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec import Raw, Struct

from packhook.api import parameters
from packhook.cli.client import Client
from packhook.cli.commands import exclusive
from packhook.cli.exits import Exit, fail, say_aside
from packhook.cli.feed import follow
from packhook.cli.files import named, read_file
from packhook.cli.options import client_command
from packhook.cli.shared_options import EventCodeOption, IdempotencyKeyOption, SubjectOption
from packhook.core.model import MAX_BATCH_EVENTS, MAX_DATA_BYTES
from packhook_client import calls

app = typer.Typer(no_args_is_help=True, help="Events of an organization.")
_COLUMNS = ("id", "event_code", "created_at", "deliveries")
MAX_INPUT_BYTES: Final = MAX_BATCH_EVENTS * (MAX_DATA_BYTES + 4_096)
"""Of the largest batch, each event with what stands around its data."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class _EventBatch(Struct, forbid_unknown_fields=True):
    events: list[Raw]


_value: Final = msgspec.json.Decoder(Raw).decode
_array: Final = msgspec.json.Decoder(list[Raw]).decode
_batch: Final = msgspec.json.Decoder(_EventBatch).decode


@client_command(app, "publish")
def publish(
    client: Client,
    file: Annotated[str, typer.Argument(help="A file of events, or - for standard input.")] = "-",
    event_code: EventCodeOption = None,
    idempotency_key: IdempotencyKeyOption = None,
) -> None:
    """Publish events: an object, an array, {"events": […]}, or one object per line. All or nothing.

    With --event-code the input is bare data.

    Example: echo '{"id": "ord_1"}' | packhook events publish --event-code order.created -o acme
    """
    events = _events(read_input(file), is_bare=event_code is not None)
    if event_code is not None:
        events = [calls.NewEvent(event_code, data).to_json() for data in events]
    if not 1 <= len(events) <= MAX_BATCH_EVENTS:
        fail(f"expected 1 to {MAX_BATCH_EVENTS} events, got {len(events)}", Exit.USAGE)
    if len(events) == 1:
        client.show(client.send(calls.publish_json(events[0], idempotency_key=idempotency_key)))
    else:
        client.show(client.send(calls.publish_batch(events, idempotency_key=idempotency_key)), _COLUMNS)


def read_input(file: str) -> bytes:
    """Return the text of a file, or of standard input for ``-``; exit if it is not UTF-8."""
    content = read_file(file, MAX_INPUT_BYTES)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        fail(f"{named(file)} is not UTF-8: byte {error.start}", Exit.USAGE)
    return content.removeprefix(_BYTE_ORDER_MARK).strip()


def _events(content: bytes, *, is_bare: bool) -> list[bytes]:
    """Return the events as the bytes that were given. In bare data, a member ``events`` has no meaning."""
    try:
        _value(content)
    except (msgspec.DecodeError, RecursionError):
        return _lines(content)
    if content.startswith(b"["):
        return [bytes(event) for event in _array(content)]
    if not is_bare:
        try:
            return [bytes(event) for event in _batch(content).events]
        except msgspec.ValidationError:
            pass  # no batch, so it is one event
    return [content]


def _lines(content: bytes) -> list[bytes]:
    events = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            _value(line)
        except msgspec.DecodeError as error:
            fail(f"line {number} is not JSON: {error}", Exit.USAGE)
        except RecursionError:
            fail(f"line {number} is nested too deeply", Exit.USAGE)
        events.append(line.strip())
    return events


@client_command(app, "list", query=parameters.EVENTS)
def list_(client: Client, query: dict[str, str]) -> None:
    """List events, newest first. Example: packhook events list -o acme"""
    client.show_list(calls.list_events().with_query(**query), _COLUMNS[:3])


@client_command(app, "feed", query=parameters.FEED)
@exclusive(("--once", "--wait"))
def feed(
    client: Client,
    query: dict[str, str],
    cursor_file: Annotated[
        Path | None, typer.Option(help="Go on from the cursor in this file, and keep it there.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Exit when there are no more events.")] = False,
) -> None:
    """Print events as a receiver gets them, oldest first, and follow new ones until Ctrl-C.

    Example: packhook events feed -o acme --cursor-file orders.cursor
    """
    cursor = ""
    with suppress(KeyboardInterrupt):
        for cursor in follow(client, query, cursor_file, once=once):  # noqa: B007 the last one is printed
            continue
    if cursor_file is None and cursor:
        say_aside(f"Go on with: --after {cursor}")


def _erased(event_id: str | None, subject: str | None) -> str:
    """Return the question before data are erased. Exit if it is not clear of what."""
    if (event_id is None) == (subject is None):
        fail("expected either an event's id or --subject", Exit.USAGE)
    return f"Erase the data of {'event ' + event_id if event_id is not None else f'all events of {subject!r}'}"


@client_command(app, "erase", question=_erased)
def erase(
    client: Client,
    event_id: Annotated[str | None, typer.Argument(help="The event's id.")] = None,
    subject: SubjectOption = None,
) -> None:
    """Erase the data of an event, or of all events of a --subject; that they were sent stays on record.

    Example: packhook events erase --subject ord_1 -o acme
    """
    if event_id is not None:
        client.send(calls.erase_event(event_id))
    elif subject is not None:
        client.show(client.send(calls.erase_subject(subject)))


@client_command(app, "show")
def show_(client: Client, event_id: Annotated[str, typer.Argument(help="The event's id.")]) -> None:
    """Show an event with its deliveries. Example: packhook events show evt_… -o acme"""
    client.show(client.send(calls.get_event(event_id)))
