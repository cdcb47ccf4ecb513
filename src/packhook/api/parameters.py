"""Query parameters, each declared once: how it is parsed, its JSON schema, its description.

A handler reads them with :meth:`ListQuery.read`; ``openapi.py`` and the CLI's options come from the same declaration.
The names are those of the filter's fields in ``store/base.py``. A new filter is one field there and one line here.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct
from starlette.datastructures import QueryParams

from packhook.core.audit import Action
from packhook.core.durations import parse_duration
from packhook.core.errors import FieldError, InvalidInput
from packhook.core.event_types import BUILT_IN, EVENT_CODES, Catalogue
from packhook.core.health import HealthState
from packhook.core.model import DeliveryStatus
from packhook.core.overview import WebhookCondition
from packhook.core.replay import ReplayStatus
from packhook.core.subject import MAX_LENGTH
from packhook.core.times import parse_utc_time
from packhook.service.feed import DEFAULT_EVENTS, MAX_EVENTS, MAX_WAIT_SECONDS
from packhook.service.pagination import DEFAULT_PER_PAGE, MAX_PER_PAGE, page_request
from packhook.service.timeline import TimelineFilter
from packhook.store.base import AuditFilter, DeliveryFilter, PageRequest, WebhookFilter
from packhook.store.overview import InstanceWebhookFilter
from packhook.store.refused_events import RefusedEventFilter
from packhook.store.replays import ReplayFilter
from packhook.store.timeline import EventFilter

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_UNESCAPED_PLUS: Final = re.compile(r"(T\d\d:\d\d\S*) (\d\d:\d\d)\Z", re.ASCII)
"""A time whose zone has an unescaped plus: it arrives as a space."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Declare one query parameter. ``parse`` raises ValueError with the message that the user reads.

    ``check`` does the same with what was parsed, knowing the event types of the instance.
    """

    description: str
    parse: Callable[[str], Any]
    schema: Mapping[str, Any]
    check: Callable[[Any, Catalogue], Any] = lambda value, _: value


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 4 or not least <= int(text) <= most:
            raise ValueError(f"expected a number from {least} to {most}")
        return int(text)

    return parse


per_page: Final = _number(1, MAX_PER_PAGE)


def _parse_codes(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code.strip() for code in text.split(",")))


def _check_code(code: str, event_types: Catalogue) -> str:
    return event_types.known_code(code)


def _check_codes(codes: tuple[str, ...], event_types: Catalogue) -> tuple[str, ...]:
    return tuple(map(event_types.known_pattern, codes))


def _parse_boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("expected true or false")
    return text == "true"


def _parse_instant(text: str) -> int:
    return parse_utc_time(_UNESCAPED_PLUS.sub(r"\1+\2", text))


def _parse_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("expected an id")
    return text


def _parse_known_as(text: str) -> str:
    if not 1 <= len(text) <= MAX_LENGTH:
        raise ValueError(f"expected 1 to {MAX_LENGTH} characters")
    return text


def _known_as(description: str) -> Parameter:
    return Parameter(description, _parse_known_as, {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH})


def _id(description: str) -> Parameter:
    return Parameter(description, _parse_id, {"type": "string", "pattern": f"^{_ID.pattern}$"})


def _instant(description: str) -> Parameter:
    return Parameter(description, _parse_instant, {"type": "string", "format": "date-time"})


def _one_of(description: str, values: type[StrEnum]) -> Parameter:
    """Declare a parameter that is one of these values."""
    accepted = tuple(values)

    def parse(text: str) -> StrEnum:
        if text not in accepted:
            raise ValueError(f"expected one of {', '.join(accepted)}")
        return values(text)

    return Parameter(description, parse, {"type": "string", "enum": list(accepted)})


_EVENT_CODE: Final = Parameter(
    "Only of this event code.", str, {"type": "string", "enum": list(EVENT_CODES)}, _check_code
)
_SUBJECT: Final = _known_as("Only of this subject: for orders, the order's id.")
_REFERENCE: Final = _known_as("Only with this reference: for orders, `reference` or `integration_reference`.")
PAGING: Final[Mapping[str, Parameter]] = {
    "per_page": Parameter(
        "Items per page, 1 to 100.",
        per_page,
        {"type": "integer", "minimum": 1, "maximum": MAX_PER_PAGE, "default": DEFAULT_PER_PAGE},
    ),
    "cursor": Parameter("From a prev or next link of this list.", str, {"type": "string"}),
}

"""The statuses by which deliveries of all organizations are found: waiting ones are found by their webhook."""

F = TypeVar("F", bound=Struct)


class HealthFilter(Struct, frozen=True, kw_only=True):
    """Select webhooks by their state; None is any."""

    state: HealthState | None = None


class EventTypeFilter(Struct, frozen=True, kw_only=True):
    """Select event types; None is any."""

    archived: bool | None = None


class NoFilter(Struct, frozen=True):
    """Hold no filter: the list has paging alone."""


@dataclass(frozen=True, slots=True)
class ListQuery(Generic[F]):
    """Declare the query parameters of one list: paging, and filters named as the fields of ``filter_type``."""

    list_name: str
    filter_type: type[F]
    filters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Return all parameters by name, paging first."""
        return {**PAGING, **self.filters}

    def read(
        self, query: QueryParams, path: str | None = None, event_types: Catalogue = BUILT_IN
    ) -> tuple[PageRequest, F]:
        """Parse a query string of the list at this path (None: at any).

        Raise InvalidInput with everything that is wrong: unknown, repeated, invalid.
        """
        values, wrong = _parse(self.parameters, query, event_types)
        try:
            per_page, cursor = values.pop("per_page", DEFAULT_PER_PAGE), values.pop("cursor", None)
            page = page_request(self.list_name, per_page, cursor, path)
        except InvalidInput as error:
            wrong += error.errors
        if wrong:
            raise InvalidInput(wrong)
        return page, self.filter_type(**values)


@dataclass(frozen=True, slots=True)
class Query:
    """Declare the query parameters of something that has no pages."""

    parameters: Mapping[str, Parameter]

    def read(self, query: QueryParams, event_types: Catalogue = BUILT_IN) -> dict[str, Any]:
        """Parse a query string, as a list does; return the values that were given."""
        values, wrong = _parse(self.parameters, query, event_types)
        if wrong:
            raise InvalidInput(wrong)
        return values


def refuse_query(query: bytes) -> None:
    """Raise InvalidInput if there is a parameter in the query string of a route that takes none."""
    if query:
        unknown = _unknown(dict.fromkeys(name for name, _ in QueryParams(query).multi_items()))
        if unknown:
            raise InvalidInput(unknown)


def _unknown(names: Iterable[str]) -> list[FieldError]:
    return [FieldError(name, "unknown_parameter", "there is no such parameter") for name in names]


def _parse(
    parameters: Mapping[str, Parameter], query: QueryParams, event_types: Catalogue
) -> tuple[dict[str, Any], list[FieldError]]:
    """Return the values that were given, and what is wrong: unknown, repeated, invalid."""
    names = [name for name, _ in query.multi_items()]
    wrong = _unknown(name for name in dict.fromkeys(names) if name not in parameters)
    wrong += [
        FieldError(name, "repeated_parameter", "expected this parameter once")
        for name in parameters
        if names.count(name) > 1
    ]
    values: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name in query:
            try:
                values[name] = parameter.check(parameter.parse(query[name]), event_types)
            except ValueError as error:
                wrong.append(FieldError(name, "invalid", str(error)))
    return values, wrong


_AUDIT_FILTERS: Final = {
    "action": _one_of("Only this action.", Action),
    "actor": _id("Only by `operator`, `packhook` or this API key's id."),
    "object_id": _id("Only about the object with this id."),
    "since": _instant("Done at this time or later, RFC 3339 or relative."),
    "until": _instant("Done before this time, RFC 3339 or relative."),
}

EVENT_TYPES: Final = ListQuery(
    "event-types",
    EventTypeFilter,
    {
        "archived": Parameter("Only archived ones (true), or only the others.", _parse_boolean, {"type": "boolean"}),
    },
)
FEED: Final = Query(
    {
        "after": Parameter(
            "The cursor of the read before; absent: from the oldest event; `latest`: only what comes from now on.",
            str,
            {"type": "string"},
        ),
        "event_codes": Parameter(
            "Only of these event codes and patterns (`order.*`), separated by commas.",
            _parse_codes,
            {"type": "string"},
            _check_codes,
        ),
        "limit": Parameter(
            f"Events of one response at most, 1 to {MAX_EVENTS:,}.",
            _number(1, MAX_EVENTS),
            {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS, "default": DEFAULT_EVENTS},
        ),
        "wait": Parameter(
            f"Seconds to wait for an event if there is none, 0 to {MAX_WAIT_SECONDS}.",
            _number(0, MAX_WAIT_SECONDS),
            {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0},
        ),
    },
)
ORGANIZATIONS: Final = ListQuery("organizations", NoFilter)
API_KEYS: Final = ListQuery("api-keys", NoFilter)
PAGES: Final = ListQuery("pages", NoFilter)
EVENTS: Final = ListQuery(
    "events",
    EventFilter,
    {
        "event_code": _EVENT_CODE,
        "subject": _SUBJECT,
        "reference": _REFERENCE,
        "since": _instant("Published at this time or later, RFC 3339 or relative."),
        "until": _instant("Published before this time, RFC 3339 or relative."),
    },
)
TIMELINE: Final = ListQuery("timeline", TimelineFilter, {"subject": _SUBJECT, "reference": _REFERENCE})
WEBHOOKS: Final = ListQuery(
    "webhooks",
    WebhookFilter,
    {
        "event_code": _EVENT_CODE,
        "enabled": Parameter("Only enabled ones (true), or only disabled ones.", _parse_boolean, {"type": "boolean"}),
    },
)
DELIVERIES: Final = ListQuery(
    "deliveries",
    DeliveryFilter,
    {
        "webhook_id": _id("Only to this webhook."),
        "event_id": _id("Only of this event."),
        "event_code": _EVENT_CODE,
        "status": _one_of("Only with this status.", DeliveryStatus),
        "subject": _SUBJECT,
        "reference": _REFERENCE,
        "since": _instant("Created at this time or later, RFC 3339 or relative."),
        "until": _instant("Created before this time, RFC 3339 or relative."),
    },
)
WEBHOOKS_ALL: Final = ListQuery(
    "webhooks",
    InstanceWebhookFilter,
    {
        "organization_id": _id("Only of this organization."),
        "event_code": _EVENT_CODE,
        "state": _one_of("Only in this state, as the status counts them.", WebhookCondition),
    },
)
DELIVERIES_ALL: Final = ListQuery(
    "deliveries",
    DeliveryFilter,
    {
        "webhook_id": _id("Only to this webhook."),
        "status": _one_of("Only with this status.", DeliveryStatus),
        "since": _instant("Created at this time or later, RFC 3339 or relative."),
        "until": _instant("Created before this time, RFC 3339 or relative."),
    },
)
REFUSED_EVENTS: Final = ListQuery("refused-events", NoFilter)
REFUSED_EVENTS_ALL: Final = ListQuery(
    "refused-events", RefusedEventFilter, {"organization_id": _id("Only of this organization, deleted or not.")}
)
REPLAYS: Final = ListQuery(
    "replays",
    ReplayFilter,
    {"webhook_id": _id("Only of this webhook."), "status": _one_of("Only with this status.", ReplayStatus)},
)
AUDIT: Final = ListQuery("audit", AuditFilter, _AUDIT_FILTERS)
AUDIT_ALL: Final = ListQuery(
    "audit", AuditFilter, {"organization_id": _id("Only of this organization, deleted or not."), **_AUDIT_FILTERS}
)
HEALTH: Final = ListQuery("health", HealthFilter, {"state": _one_of("Only in this state.", HealthState)})
STATISTICS: Final = Query(
    {
        "from": _instant("Where the series begins, RFC 3339 or relative; by default a day before its end."),
        "to": _instant("Where it ends, RFC 3339 or relative; by default now."),
        "step": Parameter(
            "Time between two points: a multiple of 5m below an hour, or of 1h. By default 5m, 1h or 1d.",
            parse_duration,
            {"type": "string", "examples": ["15m", "1h", "1d"]},
        ),
    }
)
