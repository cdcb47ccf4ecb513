"""Schemas of the audit trail."""

from pydantic import Field

from packhook.api.schemas.model import PageModel, ResponseModel, Time
from packhook.core.audit import Action


class AuditChange(ResponseModel):
    """Show a changed field. A value is null if it is not shown, or there was none."""

    field: str
    before: str | bool | None
    after: str | bool | None


class AuditEntryOut(ResponseModel):
    """Show who did what to which object, when, and from where."""

    id: str
    created_at: Time
    organization_id: str | None = Field(description="Null if it concerns the whole instance.")
    action: str = Field(json_schema_extra={"enum": list(Action)})
    object_kind: str
    object_id: str
    changes: list[AuditChange]
    reason: str | None = Field(description="Why packhook itself did it, or how an endpoint was verified.")
    actor: str = Field(description="`operator`, `packhook` or an API key's id.", examples=["operator"])
    key_prefix: str | None
    source: str | None = Field(
        description="The client's address; `cli`, or `node` for packhook itself.", examples=["192.0.2.7"]
    )
    request_id: str | None
    user_agent: str | None


class AuditPage(PageModel):
    """List audit entries, newest first."""

    data: list[AuditEntryOut]
