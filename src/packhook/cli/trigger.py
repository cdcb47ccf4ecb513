"""``packhook trigger``: send a signed example event to any URL that the egress rules allow.

::

    code ─▶ data: --data, else the example of the built-in type, else that of the server's catalogue
              └─ sign, send once by the settings of a node here ─▶ exchange, verdict, exit code
"""

import asyncio
from typing import Annotated, Any, Final

import msgspec
import typer

from packhook.api import serializers
from packhook.api.responses import encode
from packhook.cli.attempts import show_attempt
from packhook.cli.client import Client
from packhook.cli.events import read_input
from packhook.cli.exits import Exit, fail
from packhook.cli.files import STANDARD_INPUT
from packhook.cli.local_probe import event_for, local_probe
from packhook.cli.options import client_command
from packhook.cli.output import Output, print_json
from packhook.cli.secrets import first_secret
from packhook.cli.shared_options import ConfigOption, SecretFileOption, SecretOption
from packhook.cli.tables import say
from packhook.core.endpoint_findings import fix_of
from packhook.core.event_types import EVENT_TYPES
from packhook.core.model import Attempt, FailureKind
from packhook.core.signatures.standard import message, new_secret
from packhook.settings import Settings
from packhook.settings_sources import load_settings
from packhook_client import calls

app = typer.Typer()
_ORGANIZATION: Final = "packhook-trigger"
_ALLOWING: Final = (
    "The egress rules are those of a node's deliveries. Set PACKHOOK_EGRESS_ALLOW to the address's network, such as "
    "127.0.0.0/8 for this machine, and for plain http PACKHOOK_ALLOW_HTTP=true; or egress_allow and allow_http in the "
    "file of --config."
)


@client_command(app, "trigger")
def trigger(
    client: Client,
    event_code: Annotated[str, typer.Argument(help="The event type's code, such as order.created.")],
    to: Annotated[str, typer.Option("--to", help="The URL to send to.")],
    data: Annotated[
        str | None, typer.Option(help="A file with the event's data, - for standard input; else an example.")
    ] = None,
    secret: SecretOption = None,
    secret_file: SecretFileOption = None,
    config: ConfigOption = None,
) -> None:
    """Send a signed example event once, as a delivery, and show the exchange; exit 1 if it was not delivered.

    It needs no node: only the example of an event type that is not built in comes from the server. Without a secret it
    makes one and prints it.

    Example: packhook trigger order.created --to https://shop.example/hooks --secret-file secret.txt
    """
    if data == secret_file == STANDARD_INPUT:
        fail("standard input can be read for one file only", Exit.USAGE)
    settings = load_settings(config)
    given = first_secret(secret, secret_file)
    content = _example(client, event_code) if data is None else object_in(data)
    signing = given or new_secret()
    organization = client.organization or _ORGANIZATION
    attempt, body = asyncio.run(_send(settings, to, signing, event_code, content, organization))
    found = msgspec.json.decode(encode(serializers.attempt(attempt)))
    is_delivered = not attempt.error_code
    if client.output is Output.TABLE:
        _show(found, body, attempt, "" if given else signing)
    else:
        made = {} if given else {"secret": signing}
        report = {"delivered": is_delivered, "event_code": event_code, **made, "request_body": body, "attempt": found}
        print_json(msgspec.json.encode(report).decode(), client.output)
    if not is_delivered:
        raise typer.Exit(Exit.FAILED)


async def _send(
    settings: Settings, url: str, secret: str, event_code: str, data: bytes, organization: str
) -> tuple[Attempt, str]:
    """Return the exchange and the body that was sent."""
    state, event = event_for(url, secret, event_code, data, organization)
    async with local_probe(settings) as probe:
        attempt, _ = await probe.send_test(state, event)
    return attempt, message(event.id, event_code, event.created_at, organization, data).decode()


def _example(client: Client, event_code: str) -> bytes:
    """Return the example of an event type: built in, or of the server's catalogue. Exit if there is none."""
    built_in = EVENT_TYPES.get(event_code)
    if built_in is not None:
        return msgspec.json.encode(built_in.example)
    if not client.key:
        fail(f"{event_code} is not built in: give --data, or a key of the server whose catalogue has it", Exit.USAGE)
    example = client.send(calls.get_event_type(event_code)).value["example"]
    if example is None:
        fail(f"{event_code} has no example in the catalogue: give --data", Exit.USAGE)
    return msgspec.json.encode(example)


def object_in(file: str) -> bytes:
    """Return the JSON object in a file, byte for byte. Exit if it is none."""
    content = read_input(file)
    try:
        is_object = isinstance(msgspec.json.decode(content), dict)
    except (msgspec.DecodeError, RecursionError):
        is_object = False
    if not is_object:
        fail(f"--data: expected a JSON object in {'standard input' if file == '-' else file}", Exit.USAGE)
    return content


def _show(found: dict[str, Any], body: str, attempt: Attempt, made_secret: str) -> None:
    if made_secret:
        say(f"signed with a new secret: {made_secret}")
    say(f"body: {body}")
    show_attempt(found)
    say("")
    if not attempt.error_code:
        say("Delivered.")
        return
    say(f"Not delivered: {attempt.error_message}")
    is_blocked = attempt.error_code == FailureKind.BLOCKED
    fix = _ALLOWING if is_blocked else fix_of(attempt.error_code, attempt.status_code, attempt.error_message)
    say(f"Fix: {fix}")
