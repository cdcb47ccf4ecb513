"""What a page says after a form was sent: short sentences by the code that stands in the address."""

from typing import Final

NOTICES: Final = {
    "api-key-revoked": "The key is revoked: it is refused from now on.",
    "delivery-retried": "The delivery is sent now. This page shows what comes of it.",
    "event-discarded": "The event stays without deliveries. Its data can still be read.",
    "event-retried": "The deliveries of the event are made now. If they are refused again, it comes back to this list.",
    "events-retried": "The deliveries of these events are made now. What is refused again comes back to this list.",
    "events-retried-some": "The deliveries of the first 1,000 events are made now. Others are left: retry again.",
    "event-type-archived": "The event type is archived: events of this code are refused from now on.",
    "event-type-changed": "The event type is as you set it. Events that were published stay as they are.",
    "event-type-created": "The event type is created. Events of this code can be published.",
    "event-type-restored": "The event type is in use again.",
    "event-types-imported": "The event types are what the file says.",
    "organization-created": "The organization was created.",
    "organization-deleted": "The organization was deleted. Its keys and webhooks stopped at once.",
    "replay-canceled": "The replay is canceled. What it has queued is still sent.",
    "replay-created": "The replay runs. You can leave this page; it goes on.",
    "replay-paused": "The replay is paused. It queues no more until it is resumed.",
    "replay-resumed": "The replay goes on where it was.",
    "secret-rotated": "The secret is rotated. Until the overlap ends, both secrets sign.",
    "webhook-changed": "The webhook is as you set it. It counts from the next attempt on.",
    "webhook-created": "The webhook is created. Send a test event to see that its endpoint works.",
    "webhook-deleted": "The webhook is deleted. Its history stays readable.",
    "webhook-disabled": "The webhook is disabled: events create no deliveries until it is enabled.",
    "webhook-enabled": "The webhook is enabled. What it missed can be replayed.",
    "webhook-paused": "The webhook is paused: its deliveries wait.",
    "webhook-resumed": "The webhook is resumed: what waited is sent.",
    "signed-out": "You are signed out.",
}
