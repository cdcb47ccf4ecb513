"""Webhooks: create, read, change in part, delete."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from packhook.core import ids
from packhook.core.audit import Action, Actor, entry, webhook_entry
from packhook.core.clock import Clock
from packhook.core.errors import Conflict
from packhook.core.model import Health, Webhook
from packhook.service.cursor import Listing, listing
from packhook.service.endpoint_verification import Ownership
from packhook.settings import Settings
from packhook.store.base import PageRequest, Store, WebhookFilter

TRIES: Final = 5


class WebhookFields(Struct, frozen=True, kw_only=True):
    """What a user says of a webhook, checked by ``rules``; what is UNSET was not said."""

    event_code: str | UnsetType = UNSET
    endpoint: str | UnsetType = UNSET
    secret: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    description: str | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    rate_limit: float | UnsetType = UNSET
    timeout: int | UnsetType = UNSET
    retry_schedule: tuple[int, ...] | UnsetType = UNSET
    client_certificate: str | UnsetType = UNSET
    client_key: str | UnsetType = UNSET

    def said(self) -> dict[str, Any]:
        """The fields that were said."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}


class Webhooks:
    """The webhooks of all organizations; every call names whose."""

    def __init__(self, store: Store, settings: Settings, clock: Clock, ownership: Ownership) -> None:
        self._store = store
        self._disable_after = settings.disable_after
        self._clock = clock
        self._ownership = ownership

    async def create(self, organization_id: str, fields: WebhookFields, by: Actor) -> Webhook:
        """Subscribe. NotFound where the organization is not there."""
        now = self._clock.now()
        known = {"enabled": True, "verification_pending": self._ownership.is_required, **fields.said()}
        webhook = Webhook(
            id=ids.webhook_id(), organization_id=organization_id, created_at=now, updated_at=now, version=1, **known
        )
        await self._store.create_webhook(webhook, webhook_entry(Action.WEBHOOK_CREATED, by, now, webhook))
        self._ownership.ask_soon(webhook)
        return webhook

    async def get(self, organization_id: str, webhook_id: str) -> Webhook:
        """NotFound where it is not this organization's."""
        return await self._store.get_webhook(organization_id, webhook_id)

    async def list(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Listing[Webhook]:
        """A page, oldest first."""
        found = await self._store.list_webhooks(organization_id, page, where)
        return listing(found, tuple(webhook.id for webhook in found.items))

    async def health(self, webhooks: Collection[Webhook]) -> dict[str, Health]:
        """Of those that fail, by their ids; the others are well, or were sent nothing yet."""
        failing = await self._store.failing_since([webhook.id for webhook in webhooks])
        return {
            webhook.id: Health(
                failing_since=failing[webhook.id],
                disables_at=failing[webhook.id] + self._disable_after if webhook.enabled else None,
            )
            for webhook in webhooks
            if webhook.id in failing
        }

    async def update(self, organization_id: str, webhook_id: str, fields: WebhookFields, by: Actor) -> Webhook:
        """Change what was said, keep the rest. Enabling forgets why packhook disabled it."""
        for last in (*[False] * (TRIES - 1), True):
            before = await self._store.get_webhook(organization_id, webhook_id)
            after = self._changed(before, fields)
            told = webhook_entry(Action.WEBHOOK_UPDATED, by, self._clock.now(), after, before)
            try:
                await self._store.replace_webhook(after, told)
            except Conflict:
                if last:
                    raise
            else:
                if after.endpoint != before.endpoint:
                    self._ownership.ask_soon(after)
                return after
        raise AssertionError("the last try returns or raises")

    def _changed(self, before: Webhook, fields: WebhookFields) -> Webhook:
        said = fields.said()
        if said.get("enabled", False):
            said["disabled_reason"] = ""
        if said.get("endpoint", before.endpoint) != before.endpoint:  # what the other one has proven says nothing
            said |= {"verification_pending": self._ownership.is_required, "verified_at": None, "allowed_rate": 0.0}
        now = max(self._clock.now(), before.updated_at)
        return msgspec.structs.replace(before, **said, updated_at=now, version=before.version + 1)

    async def delete(self, organization_id: str, webhook_id: str, by: Actor) -> None:
        """Unsubscribe; what it was sent stays readable, what waits is canceled."""
        now = self._clock.now()
        gone = entry(Action.WEBHOOK_DELETED, by, now, organization_id=organization_id, object_id=webhook_id)
        await self._store.delete_webhook(organization_id, webhook_id, now, gone)
