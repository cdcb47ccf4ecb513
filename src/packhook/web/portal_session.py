"""A visitor of the portal: its session, and the cookie that brings it."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from packhook.core.portal import PortalSession
from packhook.service.authentication import Principal

PORTAL_COOKIE: Final = "packhook_portal"


@dataclass(frozen=True, slots=True)
class PortalVisitor:
    """Hold the session of a visitor, and the token in its cookie."""

    portal: PortalSession
    cookie: str

    is_operator = False

    @property
    def form_token(self) -> str:
        """Return the token that each form of this session carries; who sees it does not learn the cookie."""
        return base64.urlsafe_b64encode(hashlib.sha256(f"form\0{self.cookie}".encode()).digest()).decode().rstrip("=")

    @property
    def principal(self) -> Principal:
        """Return who acts, for the audit trail: the session by its id."""
        return Principal(organization_id=self.portal.organization_id, api_key_id=self.portal.id)
