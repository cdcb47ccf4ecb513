"""What the operator sees of all organizations together: the status of the instance, webhooks and deliveries."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from packhook.api import handlers, parameters, serializers
from packhook.api.responses import respond, respond_page
from packhook.core.clock import to_rfc3339
from packhook.core.model import Urgency, Webhook
from packhook.core.overview import Figures, NodeStatus, Rates, WebhookCondition
from packhook.core.signatures.standard import mask
from packhook.service.service import Service
from packhook.service.status import InstanceStatus


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def status(request: Request) -> Response:
    """Show how the instance is."""
    service = _service(request)
    return respond(_status(await service.status.read(is_draining=service.is_draining)))


async def list_all_webhooks(request: Request) -> Response:
    """List the webhooks of all organizations, oldest first, with masked secrets."""
    page, where = parameters.WEBHOOKS_ALL.read(request.query_params, request.url.path)
    found = await _service(request).webhooks.list_all(page, where)
    health = await _service(request).webhooks.health(found.items)

    def shown(webhook: Webhook) -> serializers.Body:
        return {
            **handlers.webhook_body(request, webhook, health.get(webhook.id)),
            "secret": mask(webhook.secret),
            "organization_id": webhook.organization_id,
        }

    return respond_page(request, page, found, shown)


async def list_all_deliveries(request: Request) -> Response:
    """List the deliveries of all organizations, newest first."""
    page, where = parameters.DELIVERIES_ALL.read(request.query_params, request.url.path)
    found = await _service(request).history.all_deliveries(page, where)
    return respond_page(request, page, found, serializers.delivery_of_instance)


def _status(found: InstanceStatus) -> serializers.Body:
    figures = found.figures
    return {
        "version": found.version,
        "database": found.database,
        "database_answers": figures is not None,
        "nodes": None if found.nodes is None else [_node(node) for node in found.nodes],
        "rates": None if found.rates is None else _rates(found.rates),
        "due": None if figures is None else _due(figures),
        "webhooks": None
        if figures is None
        else {condition.value: figures.webhooks.get(condition, 0) for condition in WebhookCondition},
        "refused_events": None if figures is None else figures.refused_events,
        "failing": None if found.failing is None else [serializers.listed_health(webhook) for webhook in found.failing],
        "node": _node(found.node),
    }


def _node(node: NodeStatus) -> serializers.Body:
    return {
        "name": node.name,
        "version": node.version or None,
        "started_at": to_rfc3339(node.started_at),
        "seen_at": to_rfc3339(node.seen_at),
        "draining": node.is_draining,
        "in_flight": node.in_flight,
        "queued": node.queued,
        "lanes_held": node.lanes_held,
        "breakers_open": node.breakers_open,
        "rates": _rates(node.rates),
    }


def _rates(rates: dict[str, Rates]) -> serializers.Body:
    return {window: msgspec.structs.asdict(found) for window, found in rates.items()}


def _due(figures: Figures) -> serializers.Body:
    oldest = min((part.oldest_due_at for part in figures.due), default=None)
    return {
        "deliveries": figures.count_due(),
        "oldest_since": None if oldest is None else to_rfc3339(oldest),
        "by_urgency": {urgency.name.lower(): figures.count_due(urgency=urgency) for urgency in Urgency},
        "by_state": {condition.value: figures.count_due(condition=condition) for condition in WebhookCondition},
    }
