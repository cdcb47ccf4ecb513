"""Calls about event types: what can be published and subscribed to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from packhook_client.call import (
    BASE,
    UNSET,
    Call,
    Response,
    Unset,
    act,
    create,
    delete,
    get,
    given,
    nullable,
    page_of,
    put,
    value_of,
)
from packhook_client.values.event_types import EventType, EventTypeImport
from packhook_client.values.pages import Page

_EVENT_TYPES: Final = f"{BASE}/event-types"
_EVENT_TYPE: Final = f"{_EVENT_TYPES}/{{code}}"
Object = Mapping[str, Any]


def _event_type(response: Response) -> EventType:
    """Read an event type with its entity tag."""
    return replace(value_of(EventType)(response), etag=response.headers.get("etag"))


def list_event_types(
    *, archived: bool | None = None, per_page: int | None = None, cursor: str | None = None
) -> Call[Page[EventType]]:
    """List event types in the order of their codes, built-in ones too."""
    return get(_EVENT_TYPES, page_of(EventType), per_page=per_page, cursor=cursor, archived=archived)


def get_event_type(code: str) -> Call[EventType]:
    """Return an event type with its schema and example."""
    return get(_EVENT_TYPE, _event_type, code)


def create_event_type(
    code: str,
    *,
    description: str | None = None,
    schema: Object | Unset | None = UNSET,
    example: Object | Unset | None = UNSET,
    subject_pointer: str | None = None,
    reference_pointers: Sequence[str] | None = None,
    idempotency_key: str | None = None,
) -> Call[EventType]:
    """Create an event type. Needs the operator key."""
    body = {"code": code, **_fields(description, schema, example, subject_pointer, reference_pointers)}
    return create(_EVENT_TYPES, _event_type, body=body, idempotency_key=idempotency_key)


def update_event_type(
    code: str,
    *,
    description: str | None = None,
    schema: Object | Unset | None = UNSET,
    example: Object | Unset | None = UNSET,
    subject_pointer: str | None = None,
    reference_pointers: Sequence[str] | None = None,
    archived: bool | None = None,
    force: bool | None = None,
    if_match: str | None = None,
) -> Call[EventType]:
    """Change the fields that are given; ``schema=None`` removes it. ``force``: also an incompatible schema.

    ``if_match``: the ``etag`` of the type that was read; PreconditionFailed if it was changed since.
    Needs the operator key.
    """
    fields = _fields(description, schema, example, subject_pointer, reference_pointers)
    body = {**fields, **given(archived=archived, force=force)}
    return put(_EVENT_TYPE, _event_type, code, body=body).only_if(if_match)


def archive_event_type(code: str, *, if_match: str | None = None) -> Call[None]:
    """Archive an event type: no event of it can be published. Needs the operator key.

    ``if_match``: only if it was not changed since it was read.
    """
    return delete(_EVENT_TYPE, code).only_if(if_match)


def import_event_types(
    event_types: Sequence[Object], *, force: bool | None = None, preview: bool | None = None
) -> Call[EventTypeImport]:
    """Make event types what they are said to be here, all or none. ``preview``: only say what would change.

    Each has ``code`` and the fields of ``create_event_type``; an absent field is empty. Needs the operator key.
    """
    body = {"event_types": list(event_types), **given(force=force, preview=preview)}
    return act(f"{_EVENT_TYPES}/import", value_of(EventTypeImport), body=body, is_repeatable=True)


def _fields(
    description: str | None,
    schema: Object | Unset | None,
    example: Object | Unset | None,
    subject_pointer: str | None,
    reference_pointers: Sequence[str] | None,
) -> dict[str, object]:
    references = None if reference_pointers is None else list(reference_pointers)
    return {
        **given(description=description, subject_pointer=subject_pointer, reference_pointers=references),
        **nullable(schema=schema, example=example),
    }
