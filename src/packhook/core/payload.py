"""Decide what a webhook gets of an event: all of its data, or the subject alone."""

from packhook.core.event_types import Catalogue
from packhook.core.model import THIN, Event, Webhook
from packhook.core.signatures.standard import message
from packhook.core.subject import subject_alone


def thin_data(event_code: str, data: bytes, event_types: Catalogue) -> bytes:
    """Return what a webhook with a thin payload gets of an event's data: the subject alone."""
    event_type = event_types.types.get(event_code)
    return subject_alone("" if event_type is None else event_type.subject_pointer, data)


def message_to(webhook: Webhook | None, event: Event, event_types: Catalogue) -> bytes:
    """Return the message that a webhook, as it is set now, gets of an event; of a deleted one (None) with all data."""
    is_thin = webhook is not None and webhook.payload == THIN
    data = thin_data(event.event_code, event.data, event_types) if is_thin else event.data
    return message(event.id, event.event_code, event.created_at, event.organization_id, data)
