"""What every shape has: a request is exact, an answer shows what it has."""

from typing import Any

from pydantic import BaseModel, ConfigDict


def _absent(schema: dict[str, Any]) -> None:
    """A field that may be absent has no default on the wire, and is never null."""
    for member in schema.get("properties", {}).values():
        member.pop("default", None)


class Request(BaseModel):
    """What a client sends: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_absent)


class Answer(BaseModel):
    """What the server sends. ``model_fields_set`` is what is shown, where a field may be absent."""

    model_config = ConfigDict(json_schema_extra=_absent)
