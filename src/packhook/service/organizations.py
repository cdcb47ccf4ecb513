"""Organizations and their API keys."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from packhook.core import ids
from packhook.core.audit import Action, Actor, Change, api_key_created_entry, entry, remembered
from packhook.core.clock import Clock, to_rfc3339
from packhook.core.durations import to_duration
from packhook.core.errors import FieldError, InvalidInput
from packhook.core.idempotency import Remember
from packhook.core.model import ApiKey, Organization
from packhook.service.authentication import Access, hash_of, new_key
from packhook.service.pagination import Listing, listing
from packhook.store.base import PageRequest, Store

KEY_PREFIX: Final = "phk_"
PREFIX_LENGTH: Final = 12
"""How many characters of a key stay readable, to recognize it by."""


class Organizations:
    """Create, read and delete organizations and their API keys."""

    def __init__(self, store: Store, clock: Clock, access: Access) -> None:
        self._store = store
        self._clock = clock
        self._access = access

    async def create(
        self,
        organization_id: str | None,
        name: str,
        by: Actor,
        retention: int | None = None,
        *,
        remember: Remember[Organization] | None = None,
    ) -> Organization:
        """Create an organization with this id, or a new one. Raise Conflict if the id is, or was, in use."""
        chosen = organization_id or ids.organization_id()
        now = self._clock.now()
        organization = Organization(id=chosen, name=name or chosen, created_at=now, retention=retention)
        changes = () if retention is None else (Change("retention", None, to_duration(retention)),)
        audit = entry(Action.ORGANIZATION_CREATED, by, now, organization_id=chosen, object_id=chosen, changes=changes)
        await self._store.create_organization(organization, remembered(audit, remember, organization))
        return organization

    async def get(self, organization_id: str) -> Organization:
        """Return an organization. Raise NotFound if there is none."""
        return await self._store.get_organization(organization_id)

    async def list(self, page: PageRequest) -> Listing[Organization]:
        """Return a page, ordered by id."""
        return listing("organizations", await self._store.list_organizations(page))

    async def update(self, organization_id: str, changed: Mapping[str, Any], by: Actor) -> Organization:
        """Change name or retention (None: the instance's). Raise NotFound if there is no such organization."""
        before = await self._store.get_organization(organization_id)
        after = msgspec.structs.replace(before, **changed)
        shown = [
            Change("name", before.name, after.name),
            Change("retention", _duration(before.retention), _duration(after.retention)),
        ]
        audit = entry(
            Action.ORGANIZATION_UPDATED,
            by,
            self._clock.now(),
            organization_id=organization_id,
            object_id=organization_id,
            changes=tuple(change for change in shown if change.before != change.after),
        )
        await self._store.update_organization(after, audit)
        return after

    async def delete(self, organization_id: str, by: Actor) -> None:
        """Delete an organization: keys and webhooks stop at once, events go with retention, the id stays taken."""
        now = self._clock.now()
        audit = entry(Action.ORGANIZATION_DELETED, by, now, organization_id=organization_id, object_id=organization_id)
        await self._store.delete_organization(organization_id, now, audit)
        self._access.invalidate()

    async def create_key(
        self,
        organization_id: str,
        name: str,
        scopes: tuple[str, ...],
        expires_at: int | None,
        by: Actor,
        *,
        remember: Remember[tuple[ApiKey, str]] | None = None,
    ) -> tuple[ApiKey, str]:
        """Create an API key. Return it with its text, which is not stored. Raise InvalidInput if it has expired."""
        if expires_at is not None and expires_at <= self._clock.now():
            raise InvalidInput([FieldError("/expires_at", "invalid", "expected a time in the future")])
        text = new_key(KEY_PREFIX)
        key = ApiKey(
            id=ids.api_key_id(),
            organization_id=organization_id,
            name=name,
            scopes=scopes,
            prefix=text[:PREFIX_LENGTH],
            created_at=self._clock.now(),
            expires_at=expires_at,
        )
        audit = api_key_created_entry(by, key, None if expires_at is None else to_rfc3339(expires_at))
        await self._store.create_api_key(key, hash_of(text), remembered(audit, remember, (key, text)))
        return key, text

    async def list_keys(self, organization_id: str, page: PageRequest) -> Listing[ApiKey]:
        """Return a page of the keys that were not revoked, oldest first."""
        return listing("api-keys", await self._store.list_api_keys(organization_id, page))

    async def revoke_key(self, organization_id: str, api_key_id: str, by: Actor) -> None:
        """Revoke a key: at once on this node, within a second on others."""
        now = self._clock.now()
        audit = entry(Action.API_KEY_REVOKED, by, now, organization_id=organization_id, object_id=api_key_id)
        await self._store.revoke_api_key(organization_id, api_key_id, now, audit)
        self._access.invalidate()


def _duration(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else to_duration(milliseconds)
