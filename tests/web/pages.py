"""Name every page of the dashboard, for the tests that walk all of them."""

from typing import Final

from web.sample import Shop

PAGES: Final = (
    "",
    "?range=1h",
    "?range=7d",
    "/webhooks",
    "/webhooks?state=failing",
    "/webhooks?state=paused",
    "/organizations",
    "/organizations/northwind/deliveries",
    "/organizations/northwind/deliveries?status=delivered&since=2026-11-30T09:00&subject=none",
    "/organizations/acme/deliveries",
    "/organizations/northwind/events",
    "/organizations/northwind/events?event_code=order.created&subject=none",
    "/organizations/acme/events",
    "/organizations/northwind/events/{shop.event}",
    "/organizations/northwind/events/{shop.event}?view=raw",
    "/organizations/northwind/timeline",
    "/organizations/northwind/timeline?subject={shop.order}",
    "/organizations/northwind/timeline?subject=none",
    "/organizations/northwind/api-keys",
    "/organizations/acme/api-keys",
    "/organizations/northwind/audit",
    "/organizations/northwind/audit?action=webhook.tested",
    "/audit",
    "/live",
    "/organizations/northwind/live",
    "/organizations/northwind/live?failed=1&kind=attempt&event_code=order.created",
    "/organizations/acme/live",
    "/event-types",
    "/event-types/order.created",
    "/event-types/parcel.lost",
    "/event-types/parcel.lost/edit",
    "/new-event-type",
    "/import-event-types",
    "/refused-events",
    "/refused-events?organization_id=acme",
    "/organizations/northwind/refused-events",
    "/organizations/acme/refused-events",
    "/organizations/northwind/refused-events/{shop.event}/discard",
    "/search",
    "/search?q=northwind",
    "/search?q=nothing-has-this-name",
    "/organizations/northwind/deliveries/{shop.failed_delivery}",
    "/organizations/northwind/deliveries/{shop.hostile_delivery}?attempt=1",
    "/organizations/northwind",
    "/organizations/acme",
    "/organizations/acme/new-webhook",
    "/organizations/northwind/delete",
    "/organizations/northwind/webhooks/{shop.failing.id}",
    "/organizations/northwind/webhooks/{shop.hostile.id}?range=7d",
    "/organizations/northwind/webhooks/{shop.well.id}?range=1h",
    "/organizations/northwind/webhooks/{shop.failing.id}/edit",
    "/organizations/northwind/webhooks/{shop.failing.id}/rotate",
    "/organizations/northwind/webhooks/{shop.failing.id}/diagnose",
    "/organizations/northwind/webhooks/{shop.failing.id}/delete",
    "/organizations/northwind/webhooks/{shop.failing.id}/replay",
    "/organizations/northwind/replays",
    "/organizations/northwind/replays/{shop.replay}",
    "/organizations/acme/replays",
)
"""Addresses below ``/dashboard``; a name in braces is a field of the shop."""

SEEN: Final = tuple(page for page in PAGES if "?" not in page or "subject={" in page or "?q=north" in page)
"""Those that a browser is shown: each kind of page once, not each of its filters."""


def address(page: str, shop: Shop) -> str:
    """Return the address of a page."""
    return "/dashboard" + page.format(shop=shop)
