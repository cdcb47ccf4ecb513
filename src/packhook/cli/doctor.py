"""``packhook doctor``: find out from this machine why an endpoint fails; no node and no database are needed."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
import structlog
import typer

from packhook.api import serializers
from packhook.api.responses import encode
from packhook.cli.exits import Exit, fail
from packhook.cli.findings import exit_by_level, show_findings
from packhook.cli.output import Output, OutputOption, print_json
from packhook.cli.secrets import read_secret
from packhook.cli.shared_options import ConfigOption, EventCodeOption, SecretFileOption, SecretOption
from packhook.core import ids
from packhook.core.clock import SystemClock
from packhook.core.endpoint_findings import findings
from packhook.core.event_types import EVENT_CODES, EVENT_TYPES
from packhook.core.model import Event, Webhook, WebhookState
from packhook.core.signatures.standard import new_secret, secret_problem
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress_proxy import open_egress
from packhook.delivery.probe import EndpointProbe
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
    problems = [] if event_code in EVENT_CODES else [f"--event-code: expected one of {', '.join(EVENT_CODES)}"]
    if secret and (problem := secret_problem(secret)):
        problems.append(f"--secret: {problem}")
    if problems:
        fail("\n".join(problems), Exit.USAGE)
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)  # what a log would say is printed here
    report = asyncio.run(_examine(url, secret, event_code, load_settings(config)))
    if output is not Output.TABLE:
        print_json(encode(report).decode(), output)
    else:
        show_findings(report)
    exit_by_level(report)


async def _examine(url: str, secret: str, event_code: str, settings: Settings) -> dict[str, Any]:
    """Return the findings and the exchange, as the API does."""
    clock = SystemClock()
    now = clock.now()
    webhook = Webhook(
        id="",
        organization_id=_ORGANIZATION,
        event_code=event_code if secret else PROBE_CODE,
        endpoint=url,
        secret=secret or new_secret(),
        enabled=True,
        created_at=now,
        updated_at=now,
        version=1,
    )
    event = Event(
        id=ids.event_id(),
        organization_id=_ORGANIZATION,
        event_code=webhook.event_code,
        data=msgspec.json.encode(EVENT_TYPES[event_code].example if secret else {}),
        created_at=now,
    )
    client = HttpClient(open_egress(settings), ca_bundle=settings.ca_bundle, max_connections=1)
    await client.open()
    try:
        probe = EndpointProbe(client, settings, clock)
        result, examined = await probe.examine(WebhookState(webhook=webhook), event, has_secret=bool(secret))
    finally:
        await client.close()
    return {**serializers.endpoint_report(findings(examined)), "attempt": serializers.attempt(result.attempt)}


def _drop(_logger: object, _method: str, _line: Any) -> Any:  # noqa: ANN401 structlog's
    raise structlog.DropEvent
