"""The page of one webhook: how it is, what it did, what it is set to, and what can be done with it."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from packhook.api.parameters import AUDIT_ALL, DELIVERIES
from packhook.api.schemas.matching import MatchRequest
from packhook.core import client_certificate
from packhook.core.endpoint_findings import Finding
from packhook.core.errors import FieldError, InvalidInput, MalformedBody, NotFound
from packhook.core.model import Attempt, Event, Webhook
from packhook.core.payload import message_to
from packhook.core.signatures.standard import mask
from packhook.core.subscription import PAUSED
from packhook.service.matching import MatchResult
from packhook.web.inputs import read_inputs
from packhook.web.ranges import RANGES, chosen_range
from packhook.web.visit import Visit

SHOWN: Final = "10"
"""How many deliveries and audit entries the page shows."""
_CHANGES: Final[Mapping[str, tuple[dict[str, Any], str]]] = {
    "pause": ({"paused": True}, "webhook-paused"),
    "resume": ({"paused": False}, "webhook-resumed"),
    "enable": ({"enabled": True}, "webhook-enabled"),
    "disable": ({"enabled": False}, "webhook-disabled"),
}


async def webhook(visit: Visit) -> Response:
    """Show a webhook."""
    await visit.require_organization()
    chosen = chosen_range(visit)
    service, organization_id, webhook_id = visit.service, visit.organization_id, visit.parameters["webhookId"]
    found = await service.webhooks.get(organization_id, webhook_id)
    page, where = DELIVERIES.read(visit.listing_query(webhook_id=webhook_id, per_page=SHOWN))
    of_webhook = visit.listing_query(organization_id=organization_id, object_id=webhook_id, per_page=SHOWN)
    entries, about = AUDIT_ALL.read(of_webhook)
    report, chart, deliveries, audit = await asyncio.gather(
        service.health.of_webhook(organization_id, webhook_id),
        service.statistics.of_webhook(organization_id, webhook_id, chosen.since(visit.now), visit.now, chosen.step),
        service.history.deliveries(organization_id, page, where),
        service.history.audit(entries, about),
    )
    match = await _match(visit, webhook_id) if visit.query("event_id") else None
    return visit.render(
        "webhook.html",
        422 if visit.form.errors else 200,
        webhook=found,
        match=match,
        paused=PAUSED,
        secret=mask(found.secret),
        certificate=client_certificate.facts(found.client_certificate) if found.client_certificate else None,
        report=report,
        ranges=RANGES,
        chosen=chosen,
        chart=chart,
        deliveries=deliveries.items,
        last=await service.history.last_attempts(organization_id, deliveries.items),
        audit=audit.items,
        schedule=found.retry_schedule or visit.settings.retry_schedule,
        timeout=found.timeout or visit.settings.attempt_timeout,
    )


async def _match(visit: Visit, webhook_id: str) -> MatchResult | None:
    """Return whether the webhook would get the event that the address names; None if its field says what is wrong."""
    try:
        event_id = read_inputs(visit, MatchRequest, {"event_id": visit.query("event_id").strip()}).event_id
        return await visit.service.matching.match_stored(visit.organization_id, webhook_id, event_id)
    except InvalidInput as error:
        visit.form.errors = tuple(error.errors)
    except NotFound:
        text = "this organization has no event with this id, or it is past its retention"
        visit.form.errors = (FieldError("/event_id", "invalid", text),)
    return None


async def change(visit: Visit) -> Response:
    """Pause, resume, enable or disable a webhook."""
    name = visit.form.text("to")
    if name not in _CHANGES:
        raise MalformedBody(f"expected one of {', '.join(_CHANGES)}")
    fields, notice = _CHANGES[name]
    await visit.service.webhooks.update(visit.organization_id, visit.parameters["webhookId"], fields, visit.actor)
    return visit.redirect("webhook", notice=notice)


async def delete_form(visit: Visit) -> Response:
    """Ask once more before a webhook is deleted."""
    await visit.require_organization()
    found = await visit.service.webhooks.get(visit.organization_id, visit.parameters["webhookId"])
    return visit.render(
        "confirm.html",
        title="Delete this webhook?",
        text=f"{found.endpoint} gets no event any more, and its waiting deliveries are canceled. Its history stays "
        "readable for as long as the events are kept. To stop it for a while only, pause or disable it.",
        action=visit.link("webhook-delete"),
        button="Delete webhook",
        back=visit.link("webhook"),
        typed="",
        problem="",
    )


async def delete(visit: Visit) -> Response:
    """Delete a webhook."""
    await visit.service.webhooks.delete(visit.organization_id, visit.parameters["webhookId"], visit.actor)
    return visit.redirect("organization", notice="webhook-deleted")


async def test(visit: Visit) -> Response:
    """Send a test event, and show the whole exchange."""
    await visit.require_organization()
    webhook_id = visit.parameters["webhookId"]
    found = await visit.service.webhooks.get(visit.organization_id, webhook_id)
    event, attempt, _ = await visit.service.test_events.send(visit.organization_id, webhook_id, visit.actor)
    return _exchange(visit, found, event, attempt, ())


async def diagnose_form(visit: Visit) -> Response:
    """Say what the doctor examines, and how: every failure leads here."""
    await visit.require_organization()
    found = await visit.service.webhooks.get(visit.organization_id, visit.parameters["webhookId"])
    return visit.render("doctor.html", webhook=found)


async def diagnose(visit: Visit) -> Response:
    """Let the doctor examine the endpoint, and show each finding with its fix."""
    await visit.require_organization()
    webhook_id = visit.parameters["webhookId"]
    found = await visit.service.webhooks.get(visit.organization_id, webhook_id)
    report = await visit.service.test_events.diagnose(visit.organization_id, webhook_id, visit.actor)
    return _exchange(visit, found, report.event, report.attempt, report.findings)


def _exchange(visit: Visit, found: Webhook, event: Event, attempt: Attempt, findings: tuple[Finding, ...]) -> Response:
    """Show the exchange of a test event, and what the doctor found."""
    return visit.render(
        "exchange.html",
        webhook=found,
        attempt=attempt,
        sent=message_to(found, event, visit.event_types),
        delivered=not attempt.error_code,
        findings=findings,
    )


async def show_secret(visit: Visit) -> Response:
    """Show the secret in clear, which the audit trail keeps."""
    await visit.require_organization()
    found = await visit.service.webhooks.reveal(visit.organization_id, visit.parameters["webhookId"], visit.actor)
    return visit.render("secret.html", webhook=found, secret=found.secret, why="shown")
