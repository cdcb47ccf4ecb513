"""The table of pages: the name of each, its path below the site, and what responds to GET and to POST."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from packhook.api.schemas.event_types import MAX_BODY, MAX_IMPORT
from packhook.web.app import OPEN
from packhook.web.forms import MAX_FORM_BYTES
from packhook.web.pages import (
    api_keys,
    audit,
    deliveries,
    event_type_form,
    event_type_import,
    event_types,
    events,
    organizations,
    overview,
    refused_events,
    replays,
    search,
    sign_in,
    tail,
    webhook,
    webhook_form,
    webhooks,
)
from packhook.web.visit import SIGN_IN, SIGN_IN_LINK, SIGN_OUT, Visit

Handler = Callable[[Visit], Awaitable[Response]]

_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class PageRoute:
    """Declare one page."""

    name: str
    path: str
    get: Handler | None = None
    post: Handler | None = None
    max_form_bytes: int = MAX_FORM_BYTES


ORGANIZATION: Final = "/organizations/{organizationId}"
"""Begins the path of every page about one organization; its other pages follow it."""

EVENT: Final = f"{ORGANIZATION}/events/{{eventId}}"
DELIVERY: Final = f"{ORGANIZATION}/deliveries/{{deliveryId}}"
WEBHOOK: Final = f"{ORGANIZATION}/webhooks/{{webhookId}}"
REPLAY: Final = f"{ORGANIZATION}/replays/{{replayId}}"
REFUSED: Final = f"{ORGANIZATION}/refused-events"
EVENT_TYPE: Final = "/event-types/{code}"
_TYPE_FORM: Final = 2 * MAX_BODY
"""Bytes of the form of an event type: what it holds, as a form writes it."""

ROUTES: Final = (
    PageRoute(SIGN_IN, "/sign-in", sign_in.form, sign_in.sign_in),
    PageRoute(SIGN_IN_LINK, OPEN, sign_in.open_link),
    PageRoute(SIGN_OUT, "/sign-out", None, sign_in.sign_out),
    PageRoute("overview", "/", overview.overview),
    PageRoute("webhooks", "/webhooks", webhooks.of_instance),
    PageRoute("organizations", "/organizations", organizations.organizations, organizations.create),
    PageRoute("deliveries", f"{ORGANIZATION}/deliveries", deliveries.deliveries),
    PageRoute("delivery", DELIVERY, deliveries.delivery),
    PageRoute("delivery-body", f"{DELIVERY}/response", deliveries.response_body),
    PageRoute("delivery-retry", f"{DELIVERY}/retry", None, deliveries.retry),
    PageRoute("events", f"{ORGANIZATION}/events", events.events),
    PageRoute("event", EVENT, events.event),
    PageRoute("event-data", f"{EVENT}/data", events.event_data),
    PageRoute("timeline", f"{ORGANIZATION}/timeline", events.timeline),
    PageRoute("api-keys", f"{ORGANIZATION}/api-keys", api_keys.api_keys, api_keys.create),
    PageRoute("api-key-revoke", f"{ORGANIZATION}/api-keys/{{keyId}}/revoke", api_keys.revoke_form, api_keys.revoke),
    PageRoute("audit", f"{ORGANIZATION}/audit", audit.of_organization),
    PageRoute("tail", f"{ORGANIZATION}/live", tail.of_organization),
    PageRoute("tail-stream", f"{ORGANIZATION}/live/stream", tail.stream_of_organization),
    PageRoute("tail-all", "/live", tail.of_instance),
    PageRoute("tail-all-stream", "/live/stream", tail.stream_of_instance),
    PageRoute("event-types", "/event-types", event_types.event_types),
    PageRoute("event-type", EVENT_TYPE, event_types.event_type),
    PageRoute("event-type-new", "/new-event-type", event_type_form.create_form, event_type_form.create, _TYPE_FORM),
    PageRoute("event-type-edit", f"{EVENT_TYPE}/edit", event_type_form.edit_form, event_type_form.edit, _TYPE_FORM),
    PageRoute("event-type-archive", f"{EVENT_TYPE}/archive", None, event_types.archive),
    PageRoute(
        "event-types-import", "/import-event-types", event_type_import.form, event_type_import.run, 2 * MAX_IMPORT
    ),
    PageRoute("refused-all", "/refused-events", refused_events.of_instance),
    PageRoute("refused-all-retry", "/refused-events/retry", None, refused_events.retry_all),
    PageRoute("refused", REFUSED, refused_events.of_organization),
    PageRoute("refused-retry", f"{REFUSED}/{{eventId}}/retry", None, refused_events.retry),
    PageRoute("refused-discard", f"{REFUSED}/{{eventId}}/discard", refused_events.discard_form, refused_events.discard),
    PageRoute("audit-all", "/audit", audit.of_instance),
    PageRoute("search", "/search", search.search),
    PageRoute("search-in", f"{ORGANIZATION}/search", search.search_in),
    PageRoute("organization", ORGANIZATION, webhooks.of_organization),
    PageRoute("organization-delete", f"{ORGANIZATION}/delete", webhooks.delete_form, webhooks.delete),
    PageRoute("webhook-new", f"{ORGANIZATION}/new-webhook", webhook_form.create_form, webhook_form.create),
    PageRoute("webhook", WEBHOOK, webhook.webhook),
    PageRoute("webhook-edit", f"{WEBHOOK}/edit", webhook_form.edit_form, webhook_form.edit),
    PageRoute("webhook-change", f"{WEBHOOK}/change", None, webhook.change),
    PageRoute("webhook-delete", f"{WEBHOOK}/delete", webhook.delete_form, webhook.delete),
    PageRoute("webhook-test", f"{WEBHOOK}/test", None, webhook.test),
    PageRoute("webhook-diagnose", f"{WEBHOOK}/diagnose", webhook.diagnose_form, webhook.diagnose),
    PageRoute("webhook-secret", f"{WEBHOOK}/secret", None, webhook.show_secret),
    PageRoute("webhook-rotate", f"{WEBHOOK}/rotate", webhook_form.rotate_form, webhook_form.rotate),
    PageRoute("replay-new", f"{WEBHOOK}/replay", replays.form, replays.create),
    PageRoute("replays", f"{ORGANIZATION}/replays", replays.replays),
    PageRoute("replay", REPLAY, replays.replay),
    PageRoute("replay-change", f"{REPLAY}/change", None, replays.change),
)


class PageTable:
    """Find pages of a site by path, and paths by the name of a page."""

    def __init__(self, pages: Sequence[PageRoute]) -> None:
        self._patterns = [(re.compile(_PARAMETER.sub(r"(?P<\1>[^/]{1,100})", page.path)), page) for page in pages]
        self._paths = {page.name: page.path for page in pages}

    def __contains__(self, name: str) -> bool:
        """Return whether there is a page of this name."""
        return name in self._paths

    def match(self, path: str) -> tuple[PageRoute, dict[str, str]] | None:
        """Return the page at a path, and the parameters in it; None if no page has it."""
        for pattern, page in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None:
                return page, found.groupdict()
        return None

    def path_of(self, name: str, parameters: dict[str, str]) -> str:
        """Return the path of a page. KeyError if there is none of this name, or a parameter is missing."""
        return _PARAMETER.sub(lambda found: quote(parameters[found[1]], safe=""), self._paths[name])


DASHBOARD: Final = PageTable(ROUTES)
