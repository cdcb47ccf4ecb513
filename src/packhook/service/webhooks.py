"""Webhooks: create, read, update in part, delete."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from packhook.core import ids
from packhook.core.audit import Action, Actor, entry, remembered, webhook_entry
from packhook.core.clock import Clock
from packhook.core.errors import Conflict, PreconditionFailed
from packhook.core.health import disables_at
from packhook.core.idempotency import Remember
from packhook.core.model import Health, Webhook
from packhook.service.endpoint_verification import EndpointVerification
from packhook.service.matching import check_subscription
from packhook.service.pagination import Listing, listing
from packhook.service.preconditions import CHANGED, Versions, require_version
from packhook.settings import Settings
from packhook.store.base import PageRequest, Store, WebhookFilter
from packhook.store.overview import InstanceWebhookFilter

MAX_TRIES: Final = 5

WebhookFields = Mapping[str, Any]
"""Fields of ``core.model.Webhook`` by name, with values that ``rules`` has checked; an absent field stays as it is."""


class Webhooks:
    """Manage webhooks. Every call names the organization, save :meth:`health`."""

    def __init__(self, store: Store, settings: Settings, clock: Clock, verification: EndpointVerification) -> None:
        self._store = store
        self._disable_after = settings.disable_after
        self._max_webhooks = settings.max_webhooks_per_organization
        self._clock = clock
        self._verification = verification

    async def create(
        self,
        organization_id: str,
        set_fields: WebhookFields,
        by: Actor,
        *,
        remember: Remember[Webhook] | None = None,
    ) -> Webhook:
        """Create a webhook, enabled unless the fields say otherwise. Raise NotFound without the organization.

        Raise Conflict if the organization has as many as it may have.
        """
        now = self._clock.now()
        fields = {"enabled": True, "verification_pending": self._verification.is_required, **set_fields}
        webhook = Webhook(
            id=ids.webhook_id(), organization_id=organization_id, created_at=now, updated_at=now, version=1, **fields
        )
        check_subscription(webhook, self._store.event_types.catalogue)
        audit = remembered(webhook_entry(Action.WEBHOOK_CREATED, by, now, webhook), remember, webhook)
        await self._store.create_webhook(webhook, audit, self._max_webhooks)
        self._verification.schedule_verification(webhook)
        return webhook

    async def get(self, organization_id: str, webhook_id: str) -> Webhook:
        """Return a webhook. Raise NotFound if it is not this organization's."""
        return await self._store.get_webhook(organization_id, webhook_id)

    async def reveal(self, organization_id: str, webhook_id: str, by: Actor) -> Webhook:
        """Return a webhook whose secret somebody asks to see, which the audit trail keeps. Raise NotFound."""
        found = await self._store.get_webhook(organization_id, webhook_id)
        now = self._clock.now()
        await self._store.write_audit(
            entry(Action.WEBHOOK_SECRET_SHOWN, by, now, organization_id=organization_id, object_id=webhook_id)
        )
        return found

    async def list(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Listing[Webhook]:
        """Return a page, oldest first."""
        return listing("webhooks", await self._store.list_webhooks(organization_id, page, where))

    async def list_all(self, page: PageRequest, where: InstanceWebhookFilter) -> Listing[Webhook]:
        """Return a page of the webhooks of all organizations, oldest first."""
        return listing("webhooks", await self._store.overview.list_webhooks(page, where))

    async def health(self, webhooks: Collection[Webhook]) -> dict[str, Health]:
        """Return the health of those that fail, by id. The others succeed, or were sent nothing yet."""
        failing = await self._store.failing_since([webhook.id for webhook in webhooks])
        return {
            webhook.id: Health(
                failing_since=failing[webhook.id],
                disables_at=disables_at(
                    failing[webhook.id], enabled=webhook.enabled, disable_after=self._disable_after
                ),
            )
            for webhook in webhooks
            if webhook.id in failing
        }

    async def update(
        self,
        organization_id: str,
        webhook_id: str,
        set_fields: WebhookFields,
        by: Actor,
        versions: Versions = None,
    ) -> Webhook:
        """Change these fields, keep the others. Enabling clears the reason why packhook disabled the webhook.

        Raise PreconditionFailed where the stored version is none of ``versions``.
        """
        for is_last in (*[False] * (MAX_TRIES - 1), True):
            before = await self._store.get_webhook(organization_id, webhook_id)
            require_version(before.version, versions)
            after = self._changed(before, set_fields)
            if {"event_code", "event_codes", "filter"} & set_fields.keys():
                check_subscription(after, self._store.event_types.catalogue)
            audit = webhook_entry(Action.WEBHOOK_UPDATED, by, self._clock.now(), after, before)
            try:
                await self._store.replace_webhook(after, audit)
            except Conflict:
                if is_last:
                    raise
            else:
                if after.endpoint != before.endpoint:
                    self._verification.schedule_verification(after)
                return after
        raise AssertionError("the last try returns or raises")

    def _changed(self, before: Webhook, set_fields: WebhookFields) -> Webhook:
        changes = dict(set_fields)
        if changes.get("enabled", False):
            changes["disabled_reason"] = ""
        if changes.get("endpoint", before.endpoint) != before.endpoint:  # the new endpoint has to be verified itself
            changes |= {
                "verification_pending": self._verification.is_required, "verified_at": None, "allowed_rate": 0.0
            }  # fmt: skip
        if "secret" in changes:  # it replaces all live secrets
            changes |= {"previous_secrets": (), "rotation_finish": ""}
        now = max(self._clock.now(), before.updated_at)
        return msgspec.structs.replace(before, **changes, updated_at=now, version=before.version + 1)

    async def delete(self, organization_id: str, webhook_id: str, by: Actor, versions: Versions = None) -> None:
        """Delete a webhook. Its history stays readable; its pending deliveries are canceled.

        Raise PreconditionFailed where the stored version is none of ``versions``.
        """
        now = self._clock.now()
        audit = entry(Action.WEBHOOK_DELETED, by, now, organization_id=organization_id, object_id=webhook_id)
        if versions is None:
            await self._store.delete_webhook(organization_id, webhook_id, now, audit)
            return
        before = await self._store.get_webhook(organization_id, webhook_id)
        require_version(before.version, versions)
        try:
            await self._store.delete_webhook(organization_id, webhook_id, now, audit, before.version)
        except Conflict:
            raise PreconditionFailed(CHANGED) from None
