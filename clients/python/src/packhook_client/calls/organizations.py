"""Calls about organizations, their keys, and links to the portal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from packhook_client.call import BASE, ORGANIZATION, Call, create, delete, get, given, page_of, put, value_of
from packhook_client.values.organizations import ApiKey, NewApiKey, Organization, PortalSession
from packhook_client.values.pages import Page

_ORGANIZATIONS: Final = f"{BASE}/organizations"
_KEYS: Final = f"{ORGANIZATION}/api-keys"


def create_organization(
    id: str | None = None,  # noqa: A002 the name that it has in the API
    *,
    name: str | None = None,
    retention: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Organization]:
    """Create an organization, with an id of your choice or a new one. Needs the operator key."""
    body = given(id=id, name=name, retention=retention)
    read = value_of(Organization)
    return create(_ORGANIZATIONS, read, body=body, idempotency_key=idempotency_key)


def list_organizations(*, per_page: int | None = None, cursor: str | None = None) -> Call[Page[Organization]]:
    """List organizations in the order of their ids. Needs the operator key."""
    return get(_ORGANIZATIONS, page_of(Organization), per_page=per_page, cursor=cursor)


def get_organization(organization_id: str) -> Call[Organization]:
    """Return an organization. Needs the operator key."""
    return get(ORGANIZATION, value_of(Organization), organization_id)


def update_organization(
    organization_id: str, *, name: str | None = None, retention: str | None = None
) -> Call[Organization]:
    """Change the fields that are given; a ``retention`` of ``""`` is the instance's. Needs the operator key."""
    return put(ORGANIZATION, value_of(Organization), organization_id, body=given(name=name, retention=retention))


def delete_organization(organization_id: str) -> Call[None]:
    """Delete an organization: its keys and webhooks stop at once. Needs the operator key."""
    return delete(ORGANIZATION, organization_id)


def create_api_key(
    *,
    scopes: Sequence[str],
    name: str = "",
    expires_at: datetime | str | None = None,
    idempotency_key: str | None = None,
) -> Call[NewApiKey]:
    """Create an API key. The result has its text, which is shown this once. Needs the operator key."""
    body = given(name=name, scopes=list(scopes), expires_at=expires_at)
    return create(_KEYS, value_of(NewApiKey), body=body, idempotency_key=idempotency_key)


def list_api_keys(*, per_page: int | None = None, cursor: str | None = None) -> Call[Page[ApiKey]]:
    """List API keys, the oldest first, without revoked ones. Needs the operator key."""
    return get(_KEYS, page_of(ApiKey), per_page=per_page, cursor=cursor)


def revoke_api_key(key_id: str) -> Call[None]:
    """Revoke an API key: it stops working at once. Needs the operator key."""
    return delete(f"{_KEYS}/{{keyId}}", key_id)


def create_portal_session(
    *,
    capabilities: Sequence[str] | None = None,
    expires_in: str | None = None,
    idempotency_key: str | None = None,
) -> Call[PortalSession]:
    """Create a link that works once and becomes a session of the portal. ``expires_in``: such as ``"1h"``."""
    wanted = None if capabilities is None else list(capabilities)
    body = given(capabilities=wanted, expires_in=expires_in)
    route, read = f"{ORGANIZATION}/portal-sessions", value_of(PortalSession)
    return create(route, read, body=body, idempotency_key=idempotency_key)
