"""Event types, and what an import of them changes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """Hold an event type. ``schema`` None: any object; the times are None if it is built in.

    ``etag`` is for ``if_match``; None in lists.
    """

    code: str
    description: str
    schema: dict[str, Any] | None
    example: dict[str, Any] | None
    subject_pointer: str
    reference_pointers: tuple[str, ...]
    archived_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    built_in: bool
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaBreak:
    """Say what a new schema breaks: ``field`` is a JSON Pointer into it."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeChange:
    """Say what an import does to an event type. ``change``: created, updated, archived or unchanged."""

    code: str
    change: str
    fields: tuple[str, ...]
    breaks: tuple[SchemaBreak, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeImport:
    """Hold what an import changed, or would change."""

    data: tuple[EventTypeChange, ...]
