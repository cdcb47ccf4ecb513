"""Schemas of organizations, API keys and the master key."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from packhook.api.schemas.model import PageModel, RequestModel, ResponseModel, Time
from packhook.core.clock import from_rfc3339
from packhook.core.ids import ORGANIZATION_ID
from packhook.core.model import SCOPES
from packhook.service import rules

_SCOPES: Final[dict[str, Any]] = {"items": {"type": "string", "enum": list(SCOPES)}, "minItems": 1}


def _scopes(value: list[str]) -> list[str]:
    return list(rules.scopes(value))


def _organization_id(value: str) -> str:
    if not ORGANIZATION_ID.fullmatch(value):
        raise ValueError("expected 1 to 64 of the characters A-Z a-z 0-9 _ -")
    return value


def _retention(value: str) -> str:
    rules.retention(value)
    return value


def _instant(value: str) -> str:
    try:
        from_rfc3339(value)
    except ValueError:
        raise ValueError("expected an RFC 3339 time such as 2030-01-01T00:00:00Z") from None
    return value


Scopes = Annotated[list[str], AfterValidator(_scopes), Field(json_schema_extra=_SCOPES)]
Retention = Annotated[str, AfterValidator(_retention)]
_RETENTION: Final = "How long events are kept, such as 7d or 90d."
Instant = Annotated[str, AfterValidator(_instant), Field(json_schema_extra={"format": "date-time"})]


class OrganizationCreate(RequestModel):
    """Create an organization."""

    id: Annotated[str, AfterValidator(_organization_id)] = Field(
        default="", description="Chosen by the operator; absent: packhook makes one.", examples=["acme"]
    )
    name: str = Field(default="", max_length=200, examples=["Acme Outfitters"])
    retention: Retention = Field(default="", description=f"{_RETENTION} Absent: the instance's.", examples=["90d"])


class OrganizationUpdate(RequestModel):
    """Update an organization: an absent field stays as it is."""

    name: str = Field(
        default="", min_length=1, max_length=200, description="A name for people.", examples=["Acme Outfitters"]
    )
    retention: Retention = Field(default="", description=f"{_RETENTION} Empty: the instance's.", examples=["90d"])


class OrganizationOut(ResponseModel):
    """Show an organization."""

    id: str
    name: str
    created_at: Time
    retention: str = Field(default="", description="How long its events are kept; absent: as the instance's.")


class OrganizationPage(PageModel):
    """List organizations, ordered by id."""

    data: list[OrganizationOut]


class ApiKeyCreate(RequestModel):
    """Create an API key."""

    name: str = Field(default="", max_length=200, examples=["order service"])
    scopes: Scopes = Field(examples=[["events:publish", "events:read"]])
    expires_at: Instant = Field(default="", description="RFC 3339; absent: never.", examples=["2030-01-01T00:00:00Z"])


class ApiKeyOut(ResponseModel):
    """Show an API key, without its text."""

    id: str
    name: str
    scopes: list[str]
    prefix: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class ApiKeyCreated(ApiKeyOut):
    """Show a new API key, with its text."""

    key: str


class ApiKeyPage(PageModel):
    """List API keys, oldest first."""

    data: list[ApiKeyOut]


class RotationOut(ResponseModel):
    """Show the id of the newest master key, and how many webhooks were encrypted again under it."""

    key_id: str
    reencrypted: int
