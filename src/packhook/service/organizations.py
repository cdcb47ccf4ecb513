"""Organizations and their API keys."""

from typing import Final

from packhook.core import ids
from packhook.core.audit import Action, Actor, api_key_created_entry, entry
from packhook.core.clock import Clock, to_rfc3339
from packhook.core.errors import FieldError, InvalidInput
from packhook.core.model import ApiKey, Organization
from packhook.service.authentication import Access, hash_of, new_key
from packhook.service.cursor import Listing, listing
from packhook.store.base import PageRequest, Store

KEY_PREFIX: Final = "phk_"
SHOWN: Final = 12


class Organizations:
    """Tenants and who may act for them."""

    def __init__(self, store: Store, clock: Clock, access: Access) -> None:
        self._store = store
        self._clock = clock
        self._access = access

    async def create(self, organization_id: str | None, name: str, by: Actor) -> Organization:
        """Under this id, or a new one. Conflict where it is, or was, in use."""
        chosen = organization_id or ids.organization_id()
        now = self._clock.now()
        organization = Organization(id=chosen, name=name or chosen, created_at=now)
        made = entry(Action.ORGANIZATION_CREATED, by, now, organization_id=chosen, object_id=chosen)
        await self._store.create_organization(organization, made)
        return organization

    async def get(self, organization_id: str) -> Organization:
        """NotFound where there is none."""
        return await self._store.get_organization(organization_id)

    async def list(self, page: PageRequest) -> Listing[Organization]:
        """A page, in order of ids."""
        found = await self._store.list_organizations(page)
        return listing(found, tuple(organization.id for organization in found.items))

    async def delete(self, organization_id: str, by: Actor) -> None:
        """Its keys and webhooks stop at once; its events stay until retention takes them, its id stays taken."""
        now = self._clock.now()
        gone = entry(Action.ORGANIZATION_DELETED, by, now, organization_id=organization_id, object_id=organization_id)
        await self._store.delete_organization(organization_id, now, gone)
        self._access.forget()

    async def create_key(
        self, organization_id: str, name: str, scopes: tuple[str, ...], expires_at: int | None, by: Actor
    ) -> tuple[ApiKey, str]:
        """A new key and, this once, its text. InvalidInput where it would never be valid."""
        if expires_at is not None and expires_at <= self._clock.now():
            raise InvalidInput([FieldError("/expires_at", "invalid", "expected a time to come")])
        text = new_key(KEY_PREFIX)
        key = ApiKey(
            id=ids.api_key_id(),
            organization_id=organization_id,
            name=name,
            scopes=scopes,
            prefix=text[:SHOWN],
            created_at=self._clock.now(),
            expires_at=expires_at,
        )
        made = api_key_created_entry(by, key, None if expires_at is None else to_rfc3339(expires_at))
        await self._store.create_api_key(key, hash_of(text), made)
        return key, text

    async def list_keys(self, organization_id: str, page: PageRequest) -> Listing[ApiKey]:
        """A page, oldest first, without the revoked."""
        found = await self._store.list_api_keys(organization_id, page)
        return listing(found, tuple(key.id for key in found.items))

    async def revoke_key(self, organization_id: str, api_key_id: str, by: Actor) -> None:
        """The key stops working: here at once, on other nodes within a second."""
        now = self._clock.now()
        gone = entry(Action.API_KEY_REVOKED, by, now, organization_id=organization_id, object_id=api_key_id)
        await self._store.revoke_api_key(organization_id, api_key_id, now, gone)
        self._access.forget()
