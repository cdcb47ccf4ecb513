"""Base classes of all schemas: requests are strict, responses are exact."""

from typing import Any

from pydantic import BaseModel, ConfigDict


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
