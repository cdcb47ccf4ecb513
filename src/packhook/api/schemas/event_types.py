"""Schemas of event types."""

from typing import Any, Final

from msgspec import UNSET
from pydantic import BaseModel, Field, StrictBool

from packhook.api.schemas.events import EventCode
from packhook.api.schemas.model import PageModel, RequestModel, ResponseModel, Time
from packhook.core.event_type_rules import CODE_PATTERN, MAX_CODE, MAX_DESCRIPTION
from packhook.core.subject import MAX_REFERENCES
from packhook.service.event_types import MAX_EVENT_TYPES, Definition

MAX_BODY: Final = 256 * 1024
MAX_IMPORT: Final = 2 * 1024 * 1024
_CODE: Final = {"pattern": CODE_PATTERN}
_FORCE: Final = "Also where the new schema breaks what the one before allowed or promised."


class _Fields(BaseModel):
    description: str = Field(default="", description="What happened, for people.", max_length=MAX_DESCRIPTION)
    schema_: dict[str, Any] | None = Field(
        default=None, alias="schema", description="JSON Schema 2020-12 of the data; null: any object.", examples=[None]
    )
    example: dict[str, Any] | None = Field(
        default=None, description="The data of one event; test events send it.", examples=[{"id": "prc_1"}]
    )
    subject_pointer: str = Field(
        default="", description="JSON Pointer to what an event is about; empty: nothing.", examples=["/id"]
    )
    reference_pointers: list[str] = Field(
        default=[],
        description="JSON Pointers to texts by which people know that.",
        max_length=MAX_REFERENCES,
        examples=[["/number"]],
    )

    def definition(self, **more: Any) -> Definition:  # noqa: ANN401 fields of the definition
        """Return the fields that the body has, and ``more`` of them."""
        names = {"schema_": "schema"}
        given = {names.get(name, name): getattr(self, name) for name in self.model_fields_set if name in _FIELDS}
        if "reference_pointers" in given:
            given["reference_pointers"] = tuple(given["reference_pointers"])
        return Definition(**{**given, **more})


_FIELDS: Final = frozenset(_Fields.model_fields)


class EventTypeCreate(RequestModel, _Fields):
    """Create an event type."""

    code: str = Field(description="Words with dots between them.", json_schema_extra={**_CODE, "maxLength": MAX_CODE})


class EventTypeUpdate(RequestModel, _Fields):
    """Change an event type. An absent field stays as it is."""

    archived: StrictBool = Field(default=False, description="No event of it can be published.", examples=[False])
    force: StrictBool = Field(default=False, description=_FORCE, examples=[False])

    def changes(self) -> Definition:
        """Return what shall be different."""
        return self.definition(archived=self.archived if "archived" in self.model_fields_set else UNSET)


class EventTypeImported(RequestModel, _Fields):
    """Say what an event type shall be: an absent field is empty."""

    code: str = Field(json_schema_extra={**_CODE, "maxLength": MAX_CODE})
    archived: StrictBool = Field(default=False, description="No event of it can be published.")

    def whole(self) -> Definition:
        """Return all fields."""
        return Definition(
            description=self.description,
            schema=self.schema_,
            example=self.example,
            subject_pointer=self.subject_pointer,
            reference_pointers=tuple(self.reference_pointers),
            archived=self.archived,
        )


class EventTypeImport(RequestModel):
    """Make event types what they are said to be here, all or none; those that are not named stay."""

    event_types: list[EventTypeImported] = Field(min_length=1, max_length=MAX_EVENT_TYPES)
    force: StrictBool = Field(default=False, description=_FORCE, examples=[False])
    preview: StrictBool = Field(default=False, description="Only say what would change.", examples=[True])


class EventTypeOut(ResponseModel):
    """Show an event type."""

    code: str
    description: str
    schema_: dict[str, Any] | None = Field(alias="schema")
    example: dict[str, Any] | None
    subject_pointer: str
    reference_pointers: list[str]
    archived_at: Time | None
    created_at: Time | None = Field(description="Null: built in.")
    updated_at: Time | None = Field(description="Null: built in.")
    built_in: bool


class EventTypePage(PageModel):
    """List event types, by code."""

    data: list[EventTypeOut]


class BreakOut(ResponseModel):
    """Say what a new schema breaks, and where."""

    field: str
    code: str
    message: str


class EventTypeChangeOut(ResponseModel):
    """Say what an import does to an event type."""

    code: str
    change: str = Field(json_schema_extra={"enum": ["created", "updated", "archived", "unchanged"]})
    fields: list[str] = Field(description="The fields that differ.")
    breaks: list[BreakOut]


class EventTypeImportOut(ResponseModel):
    """Say what an import changed, or would change."""

    data: list[EventTypeChangeOut]


class EventTypeChoice(RequestModel):
    """Choose the event type of a test event."""

    event_code: EventCode = Field(default="", description="Absent: the webhook's own.")
