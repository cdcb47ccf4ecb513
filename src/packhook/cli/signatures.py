"""``packhook sign`` and ``packhook verify``: sign and verify a saved request here, without a network."""

import json
import re
import sys
import time
from typing import Annotated, Any, Final

import typer

from packhook.cli.exits import Exit, fail
from packhook.cli.output import Output, OutputOption, print_json
from packhook.cli.saved_request import (
    BodyFileOption,
    RequestArgument,
    read_request,
    require_clear,
)
from packhook.cli.secrets import given_secrets
from packhook.cli.shared_options import HeadersFileOption, SecretFileOption, SecretsOption
from packhook.core import ids
from packhook.core.clock import SECOND, SystemClock
from packhook.core.durations import parse_duration
from packhook.core.signatures.standard import SigningKey
from packhook.core.signatures.standard import sign as sign_message
from packhook.core.text import visible, visible_lines
from packhook.core.times import HINT, parse_time
from packhook_client.receiving import Delivery, Refused
from packhook_client.receiving import verify as verify_request

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEFAULT_TOLERANCE: Final = "5m"
AtOption = Annotated[str | None, typer.Option("--at", help=f"As if it were this time: {HINT}")]


def sign(
    request: RequestArgument = None,
    headers_file: HeadersFileOption = None,
    body_file: BodyFileOption = None,
    secret: SecretsOption = None,
    secret_file: SecretFileOption = None,
    at: AtOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Sign a saved request. Prints it with its signature; of a body alone, the headers to send with it.

    The id is that of the request, or of its body, or a new one. Several secrets give several signatures.

    Example: packhook sign --body-file body.json --secret-file secret.txt
    """
    require_clear(request, headers_file, body_file, secret_file)
    secrets = given_secrets(secret, secret_file)
    saved = read_request(request, headers_file, body_file)
    message_id, timestamp = saved.header("webhook-id") or _id_in(saved.body) or ids.event_id(), _seconds(at)
    signed = {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign_message([SigningKey(one) for one in secrets], message_id, timestamp, saved.body),
    }
    if output is not Output.TABLE:
        print_json(json.dumps({"headers": signed}), output)
    elif body_file is None:
        _print_raw(saved.with_headers(signed).raw())
    else:
        for name, value in signed.items():
            print(visible(f"{name}: {value}"))  # noqa: T201 this is the command line


def verify(
    request: RequestArgument = None,
    headers_file: HeadersFileOption = None,
    body_file: BodyFileOption = None,
    secret: SecretsOption = None,
    secret_file: SecretFileOption = None,
    tolerance: Annotated[str | None, typer.Option(help="How old a request may be, such as 10m; 5m by default.")] = None,
    any_age: Annotated[bool, typer.Option("--any-age", help="However old it is: it was saved.")] = False,
    at: AtOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Verify a saved request, and say what is wrong: too old, wrong secret, body changed, header missing.

    Any of several secrets is enough. Exit 1 if the request is not genuine. Nothing is sent.

    Example: packhook verify request.http --secret-file secret.txt --any-age
    """
    require_clear(request, headers_file, body_file, secret_file)
    secrets = given_secrets(secret, secret_file)
    saved = read_request(request, headers_file, body_file)
    seconds = None if any_age else _tolerance(tolerance or _DEFAULT_TOLERANCE)
    now = time.time() if at is None else _seconds(at)
    try:
        delivery = verify_request(secrets, saved.headers, saved.body, now=now, tolerance=seconds)
    except Refused as refused:
        _print_refusal(refused, output)
        raise typer.Exit(Exit.FAILED) from None
    _print_delivery(delivery, output)


setattr(verify, "exclusive", (("--any-age", "--tolerance"), ("--any-age", "--at")))  # noqa: B010 read by StrictCommand


def _id_in(body: bytes) -> str:
    """Return the id that packhook's body has, "" if it has none: it is the same as in the header."""
    try:
        found = json.loads(body)["id"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) and _ID.fullmatch(found) else ""


def _seconds(at: str | None) -> int:
    """Return a time as Unix seconds, by default now. Exit if it is none."""
    now = SystemClock().now()
    try:
        instant = now if at is None else parse_time(at, now)
    except ValueError as error:
        fail(f"--at: {error}", Exit.USAGE)
    return instant // SECOND


def _tolerance(text: str) -> float:
    try:
        return parse_duration(text) / SECOND
    except ValueError as error:
        fail(f"--tolerance: {error}", Exit.USAGE)


def _print_raw(content: bytes) -> None:
    """Print bytes as they are; on a terminal, only what it can show."""
    if sys.stdout is None:  # closed by the caller
        return
    if sys.stdout.isatty():
        print(visible_lines(content.decode("utf-8", "backslashreplace").replace("\r\n", "\n")))  # noqa: T201 this is the command line
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _print_refusal(refused: Refused, output: Output) -> None:
    if output is Output.TABLE:
        print(visible_lines(f"NOT VERIFIED ({refused.code}): {refused}"))  # noqa: T201 this is the command line
    else:
        found: dict[str, Any] = {"verified": False, "code": refused.code, "reason": str(refused)}
        print_json(json.dumps(found, ensure_ascii=False), output)


def _print_delivery(delivery: Delivery, output: Output) -> None:
    found = {
        "verified": True,
        "id": delivery.id,
        "event_code": delivery.event_code,
        "organization_id": delivery.organization_id,
        "sent_at": delivery.sent_at.isoformat().replace("+00:00", "Z"),
        "attempt": delivery.attempt,
    }
    if output is Output.TABLE:
        what = " of ".join(text for text in (delivery.event_code, delivery.organization_id) if text)
        print(visible(f"verified: {delivery.id}  {what}  signed at {found['sent_at']}  attempt {delivery.attempt}"))  # noqa: T201 this is the command line
    else:
        print_json(json.dumps(found, ensure_ascii=False), output)
