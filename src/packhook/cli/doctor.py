"""``packhook doctor``: find out from this machine why an endpoint fails; no node and no database are needed."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
import typer

from packhook.api import serializers
from packhook.api.responses import encode
from packhook.cli.exits import Exit, fail
from packhook.cli.findings import exit_by_level, show_findings
from packhook.cli.local_probe import event_for, local_probe
from packhook.cli.output import Output, OutputOption, print_json
from packhook.cli.secrets import read_secret
from packhook.cli.shared_options import ConfigOption, EventCodeOption, SecretFileOption, SecretOption
from packhook.cli.trigger import object_in
from packhook.core.endpoint_findings import findings
from packhook.core.event_type_rules import code_problem
from packhook.core.event_types import EVENT_TYPES
from packhook.core.signatures.standard import new_secret, secret_problem
from packhook.settings import Settings
from packhook.settings_sources import load_settings

PROBE_CODE: Final = "packhook.doctor"
"""The type of the event that is sent without a secret: nothing that a receiver could take for an order."""
_ORGANIZATION: Final = "packhook-doctor"


def doctor(
    url: Annotated[str, typer.Argument(help="The endpoint's URL.")],
    secret: SecretOption = None,
    secret_file: SecretFileOption = None,
    event_code: EventCodeOption = None,
    data: Annotated[
        str | None, typer.Option("--data", help="A file with the event's data, - for standard input; else an example.")
    ] = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Find out why an endpoint fails, and how to fix it; exit 1 if deliveries fail.

    Sends one POST from this machine, by the egress settings of a node here. Without --secret its event is of the type
    packhook.doctor, and signed with a random secret, which the receiver should refuse.

    With a secret it is a signed example event, which the receiver accepts.

    Example: packhook doctor https://shop.example/hooks --secret-file secret.txt
    """
    event_code = event_code or "order.created"
    secret = read_secret("--secret-file", secret_file) if secret_file is not None else secret or ""
    problems = [f"--event-code: {wrong}"] if (wrong := code_problem(event_code)) else []
    if not problems and secret and data is None and event_code not in EVENT_TYPES:
        problems.append(f"--data: {event_code} is not built in, so there is no example of it here: give its data")
    content = _content(event_code, data) if secret and not problems else b"{}"
    if secret and (problem := secret_problem(secret)):
        problems.append(f"--secret: {problem}")
    if problems:
        fail("\n".join(problems), Exit.USAGE)
    report = asyncio.run(_examine(url, secret, event_code, content, load_settings(config)))
    if output is not Output.TABLE:
        print_json(encode(report).decode(), output)
    else:
        show_findings(report)
    exit_by_level(report)


def _content(event_code: str, file: str | None) -> bytes:
    """Return the data of the event that is sent: of a file, or the example of a built-in type."""
    return msgspec.json.encode(EVENT_TYPES[event_code].example) if file is None else object_in(file)


async def _examine(url: str, secret: str, event_code: str, data: bytes, settings: Settings) -> dict[str, Any]:
    """Return the findings and the exchange, as the API does."""
    state, event = event_for(url, secret or new_secret(), event_code if secret else PROBE_CODE, data, _ORGANIZATION)
    async with local_probe(settings) as probe:
        result, examined = await probe.examine(state, event, has_secret=bool(secret))
    return {**serializers.endpoint_report(findings(examined)), "attempt": serializers.attempt(result.attempt)}
