"""Schemas of portal sessions."""

from typing import Annotated

from pydantic import AfterValidator, Field

from packhook.api.schemas.model import RequestModel, ResponseModel, Time
from packhook.core.portal import Capability
from packhook.service import rules


def _lasting(text: str) -> str:
    rules.portal_lasting(text)
    return text


class PortalSessionCreate(RequestModel):
    """Create a link to the portal."""

    capabilities: Annotated[list[Capability], AfterValidator(rules.capabilities)] = Field(
        default=[Capability.VIEW],
        description="What the session may do: `view` always, and `manage`, `replay`, `secrets`.",
        examples=[["view", "replay"]],
    )
    expires_in: Annotated[str, AfterValidator(_lasting)] = Field(
        default="1h", description="How long the link and its session last together: 5m to 24h.", examples=["1h"]
    )


class PortalSessionOut(ResponseModel):
    """Show a link to the portal. It works once."""

    url: str
    expires_at: Time
