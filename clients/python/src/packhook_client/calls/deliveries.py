"""Calls about deliveries and replays."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from packhook_client.call import BASE, ORGANIZATION, Call, act, create, get, given, page_of, value_of
from packhook_client.values.deliveries import Delivery, DeliveryDetail, Replay, ReplayPreview
from packhook_client.values.pages import Page

_DELIVERIES: Final = f"{ORGANIZATION}/deliveries"
_DELIVERY: Final = f"{_DELIVERIES}/{{deliveryId}}"
_REPLAYS: Final = f"{ORGANIZATION}/replays"
_REPLAY: Final = f"{_REPLAYS}/{{replayId}}"
_WEBHOOK_REPLAYS: Final = f"{ORGANIZATION}/webhooks/{{webhookId}}/replays"


def list_deliveries(
    *,
    webhook_id: str | None = None,
    event_id: str | None = None,
    event_code: str | None = None,
    status: str | None = None,
    subject: str | None = None,
    reference: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    per_page: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Delivery]]:
    """List deliveries, the newest first."""
    return get(
        _DELIVERIES, page_of(Delivery), per_page=per_page, cursor=cursor, webhook_id=webhook_id, event_id=event_id,
        event_code=event_code, status=status, subject=subject, reference=reference, since=since, until=until,
    )  # fmt: skip


def list_all_deliveries(
    *,
    webhook_id: str | None = None,
    status: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    per_page: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Delivery]]:
    """List deliveries of all organizations, the newest first. Needs the operator key."""
    return get(
        f"{BASE}/deliveries", page_of(Delivery), per_page=per_page, cursor=cursor, webhook_id=webhook_id,
        status=status, since=since, until=until,
    )  # fmt: skip


def get_delivery(delivery_id: str) -> Call[DeliveryDetail]:
    """Return a delivery with every attempt and the next ones."""
    return get(_DELIVERY, value_of(DeliveryDetail), delivery_id)


def retry_delivery(delivery_id: str) -> Call[Delivery]:
    """Send a delivery now: a finished one again, a waiting one before its time."""
    return act(f"{_DELIVERY}/retry", value_of(Delivery), delivery_id)


def create_replay(
    webhook_id: str,
    *,
    select: str,
    since: datetime | str,
    until: datetime | str | None = None,
    event_codes: Sequence[str] | None = None,
    subject: str | None = None,
    latest_only: bool | None = None,
    idempotency_key: str | None = None,
) -> Call[Replay]:
    """Make deliveries of a webhook again. ``select``: ``failed``, ``missing``, ``delivered`` or ``all``."""
    body = _selection(select, since, until, event_codes, subject, latest_only)
    return create(_WEBHOOK_REPLAYS, value_of(Replay), webhook_id, body=body, idempotency_key=idempotency_key)


def preview_replay(
    webhook_id: str,
    *,
    select: str,
    since: datetime | str,
    until: datetime | str | None = None,
    event_codes: Sequence[str] | None = None,
    subject: str | None = None,
    latest_only: bool | None = None,
) -> Call[ReplayPreview]:
    """Say what a replay would take; nothing is written."""
    body = {**_selection(select, since, until, event_codes, subject, latest_only), "preview": True}
    return act(_WEBHOOK_REPLAYS, value_of(ReplayPreview), webhook_id, body=body, is_repeatable=True)


def list_replays(
    *,
    webhook_id: str | None = None,
    status: str | None = None,
    per_page: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Replay]]:
    """List replays, the newest first."""
    return get(_REPLAYS, page_of(Replay), per_page=per_page, cursor=cursor, webhook_id=webhook_id, status=status)


def get_replay(replay_id: str) -> Call[Replay]:
    """Return a replay and its progress."""
    return get(_REPLAY, value_of(Replay), replay_id)


def pause_replay(replay_id: str) -> Call[Replay]:
    """Pause a running replay."""
    return act(f"{_REPLAY}/pause", value_of(Replay), replay_id)


def resume_replay(replay_id: str) -> Call[Replay]:
    """Resume a paused replay where it was."""
    return act(f"{_REPLAY}/resume", value_of(Replay), replay_id)


def cancel_replay(replay_id: str) -> Call[Replay]:
    """Cancel a replay; what it has queued is still sent."""
    return act(f"{_REPLAY}/cancel", value_of(Replay), replay_id)


def _selection(
    select: str,
    since: datetime | str,
    until: datetime | str | None,
    event_codes: Sequence[str] | None,
    subject: str | None,
    latest_only: bool | None,
) -> dict[str, object]:
    return given(
        select=select, since=since, until=until, event_codes=event_codes, subject=subject, latest_only=latest_only
    )
