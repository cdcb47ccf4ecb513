"""Base classes of all schemas: requests are strict, responses are exact; and their msgspec form, for quick decoding."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from pydantic import BaseModel, ConfigDict, WithJsonSchema

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time in a response: RFC 3339 in UTC, with milliseconds."""


def _drop_defaults(schema: dict[str, Any]) -> None:
    """Remove defaults from a JSON schema: an optional field is absent, and never null."""
    for member in schema.get("properties", {}).values():
        member.pop("default", None)


class RequestModel(BaseModel):
    """Validate a request body. Unknown fields are errors; values are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_drop_defaults)


class ResponseModel(BaseModel):
    """Describe a response body. A field that has a default is absent unless it is set."""

    model_config = ConfigDict(json_schema_extra=_drop_defaults)


class PageModel(ResponseModel):
    """Hold what every page of a list has."""

    prev: str | None
    next: str | None
    per_page: int


def struct_of(model: type[BaseModel], **replaced: object) -> type[Struct]:
    """Return a msgspec Struct with the fields of a pydantic model: types, minimum lengths, defaults, unknown members.

    ``replaced`` maps field names to other types.
    """
    fields: list[Any] = []
    for name, field in model.model_fields.items():
        kind: Any = replaced.get(name, field.annotation)
        for rule in () if name in replaced else field.metadata:
            if hasattr(rule, "min_length"):
                kind = Annotated[kind, Meta(min_length=rule.min_length)]
        fields.append((name, kind) if field.is_required() else (name, kind, field.default))
    forbids = model.model_config.get("extra") == "forbid"
    return msgspec.defstruct(model.__name__, fields, gc=False, forbid_unknown_fields=forbids)
