"""Define a call of the API as a value: what is sent, and how the response is read. Nothing here does I/O.

::

    packhook_client.calls ──▶ Call ──▶ Packhook.send, AsyncPackhook.send ──▶ Call.read(Response) ──▶ a value
"""

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from packhook_client.decoding import decode, decoder_of, parse_json
from packhook_client.errors import InvalidArgument, UnexpectedResponse
from packhook_client.values.pages import Page

T = TypeVar("T")

BASE: Final = "/v1"
ORGANIZATION: Final = f"{BASE}/organizations/{{organizationId}}"
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_VISIBLE: Final = re.compile(r"[!-~]+")
_LONGEST_KEY: Final = 255
_SENDS: Final = 30.0
"""Seconds that one attempt of a delivery may take: what sends something to an endpoint responds after it."""


class Unset(Enum):
    """Mark an argument that was not given, where None has a meaning of its own."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Response:
    """Hold a successful response. Names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """Return the body as it came."""
        return self.content.decode("utf-8", "replace")

    @property
    def request_id(self) -> str | None:
        """Return the id by which the operator finds the request in the log."""
        return self.headers.get("x-request-id")

    def json(self) -> Any:  # noqa: ANN401 any JSON
        """Return the body as JSON. Raise UnexpectedResponse if it is not."""
        try:
            return parse_json(self.content)
        except ValueError:
            raise UnexpectedResponse(f"the response ({self.status}) is not JSON: is it packhook?") from None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """Define one call: a route of the API with everything that is sent, and how the response becomes a value.

    ``idempotency_key`` is the same however often the request is sent; None: the route takes none. ``if_match``: only if
    the object still has this entity tag. ``is_repeatable``: to carry it out twice is as good as once. ``patience`` are
    seconds that the server may take beyond the usual.
    """

    method: str
    route: str
    read: Callable[[Response], T]
    ids: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    idempotency_key: str | None = None
    if_match: str | None = None
    is_repeatable: bool = True
    patience: float = 0.0

    @property
    def needs_organization(self) -> bool:
        """Return whether the call is about something of the client's organization."""
        return self.route.startswith(f"{ORGANIZATION}/")

    def path(self, organization: str | None) -> str:
        """Return the path. Each id is quoted, so one with odd characters leads to no other object.

        Raise InvalidArgument without an organization where one is needed, for an empty id, and for ``.`` and ``..``,
        which clients and proxies remove from a path.
        """
        ids = iter(self.ids)

        def insert(found: re.Match[str]) -> str:
            if found[1] != "organizationId" or not self.needs_organization:
                return _quoted(next(ids))
            if organization is None:
                raise InvalidArgument("which organization? give Packhook(…, organization=…), or use in_organization()")
            return _quoted(organization)

        return _PLACEHOLDER.sub(insert, self.route)

    def only_if(self, entity_tag: str | None) -> "Call[T]":
        """Return the same call for an object that still has this entity tag; it is not repeated, for it changes it."""
        return (
            self if entity_tag is None else replace(self, if_match=_header("if_match", entity_tag), is_repeatable=False)
        )

    def with_query(self, **values: str) -> "Call[T]":
        """Return the same call with these query parameters changed."""
        return replace(self, query={**self.query, **values})


def _quoted(identifier: str) -> str:
    if identifier in ("", ".", ".."):
        raise InvalidArgument(f"expected an id, got {identifier!r}")
    return quote(identifier, safe="")


def get(route: str, read: Callable[[Response], T], *ids: str, patience: float = 0.0, **query: object) -> Call[T]:
    """Return a call that reads. Query parameters that are None are left out."""
    texts = {name.removesuffix("_"): _text(value) for name, value in query.items() if value is not None}
    return Call("GET", route, read, ids, texts, patience=patience)


def put(route: str, read: Callable[[Response], T], *ids: str, body: object) -> Call[T]:
    """Return a call that changes something: to do it again changes nothing more."""
    return Call("PUT", route, read, ids, body=to_json(body))


def delete(route: str, *ids: str) -> Call[None]:
    """Return a call that deletes something."""
    return Call("DELETE", route, nothing, ids)


def create(route: str, read: Callable[[Response], T], *ids: str, body: object, idempotency_key: str | None) -> Call[T]:
    """Return a call that makes something once, however often it is sent: without a key it gets a random one."""
    content = body if isinstance(body, bytes) else to_json(body)
    return Call("POST", route, read, ids, body=content, idempotency_key=_checked(idempotency_key) or new_key())


def act(
    route: str,
    read: Callable[[Response], T],
    *ids: str,
    body: object = None,
    is_repeatable: bool = False,
    sends: bool = False,
) -> Call[T]:
    """Return a call that does something, which is not repeated unless it ``is_repeatable``.

    ``sends``: the node sends a request to an endpoint before it responds.
    """
    content = body if isinstance(body, bytes) or body is None else to_json(body)
    patience = _SENDS if sends else 0.0
    return Call("POST", route, read, ids, body=content, is_repeatable=is_repeatable, patience=patience)


def new_key() -> str:
    """Return a random idempotency key."""
    return secrets.token_hex(16)


def _checked(key: str | None) -> str | None:
    if key is not None and len(key) > _LONGEST_KEY:
        raise InvalidArgument(f"expected at most {_LONGEST_KEY} characters, got {len(key)}", "idempotency_key")
    return None if key is None else _header("idempotency_key", key)


def _header(argument: str, text: str) -> str:
    """Return what a header can have as it is."""
    if not _VISIBLE.fullmatch(text):
        raise InvalidArgument(f"expected visible ASCII, got {text!r}", argument)
    return text


# --- what is sent


def given(**members: object) -> dict[str, object]:
    """Return the members of a body without those that are None: they were not given."""
    return {name: value for name, value in members.items() if value is not None}


def nullable(**members: object) -> dict[str, object]:
    """Return the members of a body without those that are UNSET; None is sent as null."""
    return {name: value for name, value in members.items() if value is not UNSET}


def to_json(value: object) -> bytes:
    """Return a value as JSON; times are RFC 3339. Raise ValueError or TypeError for what JSON does not have."""
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_jsonable
    ).encode()  # fmt: skip


def with_data(members: Mapping[str, object], data: bytes) -> bytes:
    """Return a JSON object that ends with ``data``, byte for byte."""
    head = to_json(dict(members)).removesuffix(b"}")
    return b'%b%b"data":%b}' % (head, b"," if members else b"", data)


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return _rfc3339(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def _text(value: object) -> str:
    """Return a query parameter as text."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return _rfc3339(value)
        case str():
            return value
        case Iterable():
            return ",".join(str(one) for one in value)
        case _:
            return str(value)


def _rfc3339(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise InvalidArgument("a time needs a zone, such as datetime.now(UTC)")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# --- how a response is read


def nothing(_: Response) -> None:
    """Read an empty response."""


def value_of(kind: type[T]) -> Callable[[Response], T]:
    """Return what reads one value."""
    return lambda response: decode(kind, response.json())


def page_of(kind: type[T]) -> Callable[[Response], Page[T]]:
    """Return what reads a page of values."""

    def read(response: Response) -> Page[T]:
        value = response.json()
        links: dict[str, Any] = value if isinstance(value, dict) else {}
        return Page(
            data=decoder_of(tuple[kind, ...])(links.get("data"), "/data"),  # type: ignore[valid-type] # a type at run time
            prev=decoder_of(str | None)(links.get("prev"), "/prev"),
            next=decoder_of(str | None)(links.get("next"), "/next"),
            per_page=decoder_of(int)(links.get("per_page"), "/per_page"),
        )

    return read
