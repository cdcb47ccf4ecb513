"""Map values to rows and back by name. A table's columns are the fields of its value, in the order of the fields.

Statements refer to the lists: ``{webhook_columns}`` and ``{webhook_values:2}`` (see ``statements.py``). So a new field
of a value needs a column of the same name in the migrations, and nothing else in this package.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from operator import attrgetter
from types import NoneType
from typing import Any, Final, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from packhook.core.audit import Actor, AuditEntry
from packhook.core.health import Backlog, HealthFacts, LastFailure
from packhook.core.model import (
    ApiKey,
    Attempt,
    AttemptResult,
    AttemptSummary,
    Delivery,
    DeliveryStatus,
    Event,
    EventType,
    Interruption,
    Organization,
    Receipt,
    Urgency,
    Webhook,
    WebhookState,
)
from packhook.core.operator_session import OperatorSession
from packhook.core.overview import DueDeliveries, Figures, WebhookCondition
from packhook.core.portal import PortalSession
from packhook.core.replay import Replay
from packhook.core.storable_text import replace_half, replace_unstorable
from packhook.core.subscription import Subscription
from packhook.store.refused_events import RefusedEvent
from packhook.store.timeline import AttemptLog

S = TypeVar("S", bound=Struct)

Row = Sequence[Any]
Convert = Callable[[Any], Any]

_to_json: Final = msgspec.json.Encoder().encode
_event_codes: Final = msgspec.json.Decoder(tuple[str, ...])
_receipts: Final = msgspec.json.Decoder(list[dict[str, Any]])


class Table(Generic[S]):
    """Describe the columns that hold a value of this type.

    A column has its field's name, unless ``columns`` names another. ``without`` are fields that are stored otherwise.
    Numbers, texts and bytes are stored as they are, enumerations by value, anything else as JSON.
    """

    def __init__(self, of: type[S], *, columns: Mapping[str, str] | None = None, without: Collection[str] = ()) -> None:
        names = columns or {}
        hints = get_type_hints(of)
        self._of = of
        self._fields = tuple(name for name in of.__struct_fields__ if name not in without)
        self.columns = tuple(names.get(field, field) for field in self._fields)
        converters = [(field, *_converters(hints[field])) for field in self._fields]
        self._get: Callable[[S], tuple[Any, ...]] = attrgetter(*self._fields)
        self._encode = [(number, encode) for number, (_, encode, _) in enumerate(converters) if encode]
        self._decode = [(field, decode) for field, _, decode in converters if decode]

    def values(self, item: S) -> Sequence[Any]:
        """Return the values of the columns, in their order."""
        if not self._encode:
            return self._get(item)
        values = list(self._get(item))
        for number, encode in self._encode:
            values[number] = encode(values[number])
        return values

    def read(self, row: Row, **fields: object) -> S:
        """Return the value that a row begins with; ``fields`` are those that are stored otherwise."""
        found: dict[str, Any] = dict(zip(self._fields, row, strict=False))
        for field, decode in self._decode:
            found[field] = decode(found[field])
        return self._of(**found, **fields)


def _converters(hint: Any) -> tuple[Convert | None, Convert | None]:  # noqa: ANN401 a type, as typing has it
    """Return how a field of this type is written, and how it is read; None where nothing is to be done."""
    if hint is bool:
        return None, bool  # SQLite has no booleans, and takes them as numbers
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_value, hint
    if get_origin(hint) in (dict, tuple):
        return to_json, msgspec.json.Decoder(hint).decode
    either = get_args(hint)
    if NoneType in either and any(get_origin(one) is dict for one in either):
        decode = msgspec.json.Decoder(hint).decode
        return _to_json_or_null, lambda text: None if text is None else decode(text)
    return None, None


def _enum_value(member: Enum) -> Any:  # noqa: ANN401 text or number
    return member.value


def _to_json_or_null(value: object) -> str | None:
    return None if value is None else to_json(value)


def to_json(value: object) -> str:
    """Return a value as JSON text."""
    return _to_json(value).decode()


ORGANIZATIONS: Final = Table(Organization)
API_KEYS: Final = Table(ApiKey)
WEBHOOKS: Final = Table(Webhook)
EVENT_TYPES: Final = Table(EventType)
EVENTS: Final = Table(Event)
NEW_EVENTS: Final = Table(Event, without=("erased_at",))
DELIVERIES: Final = Table(Delivery, columns={"next_attempt_at": "claimable_at"})
ATTEMPTS: Final = Table(Attempt)
ATTEMPT_SUMMARIES: Final = Table(AttemptSummary)
INTERRUPTIONS: Final = Table(Interruption)
REPLAYS: Final = Table(Replay)
PORTAL_SESSIONS: Final = Table(PortalSession)
OPERATOR_SESSIONS: Final = Table(OperatorSession)
REFUSED_EVENTS: Final = Table(RefusedEvent)
_ENTRIES: Final = Table(AuditEntry, without=("by", "response"))
_ACTORS: Final = Table(Actor, columns={"name": "actor"})

_HEALTH_OF_WEBHOOK: Final = (
    "id",
    "organization_id",
    "event_code",
    "event_codes",
    "endpoint",
    "enabled",
    "disabled_reason",
    "verification_pending",
    "paused",
)

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "organization": ORGANIZATIONS.columns,
    "api_key": API_KEYS.columns,
    "webhook": WEBHOOKS.columns,
    "event_type": EVENT_TYPES.columns,
    "event": EVENTS.columns,
    "new_event": NEW_EVENTS.columns,
    "delivery": DELIVERIES.columns,
    "attempt": ATTEMPTS.columns,
    "replay": REPLAYS.columns,
    "portal_session": PORTAL_SESSIONS.columns,
    "operator_session": OPERATOR_SESSIONS.columns,
    "attempt_summary": ATTEMPT_SUMMARIES.columns,
    "health": (
        *(f"w.{name}" for name in _HEALTH_OF_WEBHOOK),
        *("h.failing_since", "coalesce(h.failures, 0)", "coalesce(l.held_until, 0)", "l.due_at"),
        *("f.failed_at", "f.error_code", "f.error_message"),
    ),
    "audit_entry": (*_ENTRIES.columns, *_ACTORS.columns, "object_kind"),
}
"""The column lists that statements refer to."""


def subscription(row: Row) -> Subscription:
    """Return a subscription from the columns of ``find_subscription``."""
    webhook_id, version, event_code, enabled, verification_pending, paused, event_codes, text = row
    patterns = () if event_codes == "[]" else _event_codes.decode(event_codes)
    return Subscription(webhook_id, version, event_code, enabled, verification_pending, paused, patterns, text)


def delivery(row: Row) -> Delivery:
    """Return a delivery; only a pending one has a next attempt."""
    found = DELIVERIES.read(row)
    if found.status is DeliveryStatus.PENDING:
        return found
    return msgspec.structs.replace(found, next_attempt_at=None)


def webhook_state(row: Row) -> WebhookState:
    """Return a webhook with its health and hold, which stand behind its columns."""
    gone_since, failing_since, held_until = list(row)[len(WEBHOOKS.columns) :]
    return WebhookState(
        webhook=WEBHOOKS.read(row), gone_since=gone_since, failing_since=failing_since, held_until=held_until
    )


def attempt_log(attempts: Sequence[Row], interruptions: Sequence[Row]) -> AttemptLog:
    """Return what is known of the attempts of some deliveries; an interruption stands behind its delivery's id."""
    return AttemptLog(
        tuple(map(ATTEMPT_SUMMARIES.read, attempts)),
        tuple((row[0], INTERRUPTIONS.read(list(row)[1:])) for row in interruptions),
    )


def health_facts(row: Row) -> HealthFacts:
    """Return what is known about a webhook's health."""
    size = len(_HEALTH_OF_WEBHOOK)
    webhook: dict[str, Any] = dict(zip(_HEALTH_OF_WEBHOOK, row, strict=False))
    webhook |= {name: bool(webhook[name]) for name in ("enabled", "verification_pending", "paused")}
    webhook["event_codes"] = _event_codes.decode(webhook["event_codes"])
    failing_since, failures, held_until, due_since, failed_at, code, message = list(row)[size:]
    last = None if failed_at is None else LastFailure(at=failed_at, code=code, message=message)
    return HealthFacts(
        **webhook,
        failing_since=failing_since,
        failures=failures,
        held_until=held_until,
        due_since=due_since,
        last_failure=last,
    )


def backlog(row: Row, limit: int) -> Backlog:
    """Return a backlog that was counted one further than ``limit``."""
    count, oldest_at, next_attempt_at = row
    return Backlog(
        count=min(count, limit),
        has_more=count > limit,
        oldest_at=oldest_at,
        next_attempt_at=next_attempt_at,
    )


def figures(now: int, due: Iterable[Row], webhooks: Iterable[Row], refused: int) -> Figures:
    """Return the figures of an instance from the rows of its counts: ``count_due`` and the others."""
    return Figures(
        at=now,
        due=tuple(
            DueDeliveries(
                urgency=Urgency(urgency),
                condition=WebhookCondition(condition),
                count=count,
                oldest_due_at=oldest,
            )
            for urgency, condition, count, oldest in due
        ),
        webhooks={WebhookCondition(condition): count for condition, count in webhooks},
        refused_events=refused,
    )


def last_failures(results: Iterable[AttemptResult]) -> list[tuple[Any, ...]]:
    """Return the last failure of each webhook among results, in the columns of ``record_last_failure``, by webhook."""
    last: dict[str, tuple[Any, ...]] = {}
    for result in results:
        attempt = result.attempt
        if attempt.error_code:
            webhook_id, ended_at = result.delivery.webhook_id, attempt.started_at + attempt.duration
            failed = webhook_id, ended_at, attempt.error_code, replace_unstorable(attempt.error_message)
            last[webhook_id] = max(failed, last.get(webhook_id, failed))
    return [last[webhook_id] for webhook_id in sorted(last)]


def attempt_values(attempt: Attempt) -> Sequence[Any]:
    """Return the columns of an attempt. Whatever a receiver sent can be inserted.

    It is bytes, or JSON. What no database can hold in a text, NUL and half a character, is replaced.
    """
    try:
        if _is_storable(attempt.error_message) and _is_storable(attempt.url):
            return ATTEMPTS.values(attempt)
    except UnicodeEncodeError:  # half a character in a header
        pass
    return ATTEMPTS.values(
        msgspec.structs.replace(
            attempt,
            url=replace_unstorable(attempt.url),
            error_code=replace_unstorable(attempt.error_code),
            error_message=replace_unstorable(attempt.error_message),
            response_headers=tuple(
                [(replace_half(name), replace_half(value)) for name, value in attempt.response_headers]
            ),
        )
    )


def _is_storable(text: str) -> bool:
    return text.isascii() and "\0" not in text


def audit_values(entry: AuditEntry) -> list[Any]:
    """Return the columns of an audit entry."""
    return [*_ENTRIES.values(entry), *_ACTORS.values(entry.by), entry.action.kind]


def audit_entry(row: Row) -> AuditEntry:
    """Return an audit entry."""
    return _ENTRIES.read(row, by=_ACTORS.read(list(row)[len(_ENTRIES.columns) :]))


def receipts_to_bytes(receipts: tuple[Receipt, ...]) -> bytes:
    """Return receipts as they are stored with an idempotency key."""
    return _to_json([msgspec.structs.asdict(receipt) for receipt in receipts])


def receipts_from_bytes(data: bytes) -> tuple[Receipt, ...]:
    """Return stored receipts."""
    return tuple([Receipt(**receipt) for receipt in _receipts.decode(data)])
