"""Define what a call can raise, in one tree: :class:`PackhookError`.

::

    PackhookError ─┬─ ConnectionFailed ── TimedOut     no response
                   ├─ UnexpectedResponse               a response that no node gives: is it packhook?
                   └─ ApiError ── one class for each code of the API, or for its status

What cannot be sent at all is an :class:`InvalidArgument`, raised before there is a request.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from packhook_client.values.events import Receipt


class InvalidArgument(ValueError):
    """Report an argument that no request can have: an empty id, a time without a zone, a URL that is none.

    ``argument`` is its name, empty where it can be one of several; ``message`` says what was expected.
    """

    def __init__(self, message: str, argument: str = "") -> None:
        super().__init__(message, argument)
        self.message = message
        self.argument = argument

    def __str__(self) -> str:
        return f"{self.argument}: {self.message}" if self.argument else self.message


class InvalidKey(InvalidArgument):
    """Report a key that cannot be one. The message does not show it."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """Describe one invalid field: a JSON Pointer into the body, or a parameter's name, and a message for people."""

    pointer: str
    message: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Hold what an error response says. ``retry_after`` is in seconds; None: it does not say."""

    status: int
    code: str
    title: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    request_id: str | None = None
    retry_after: float | None = None


class PackhookError(Exception):
    """Define the root of all errors of a call."""

    published: "tuple[Receipt, ...]" = ()
    """Of ``publish_all``: the receipts of the batches that were published before the error."""


class ConnectionFailed(PackhookError):
    """Report that there was no response. ``was_sent``: the server may have got the request and carried it out."""

    def __init__(self, message: str, was_sent: bool) -> None:
        super().__init__(message, was_sent)
        self.was_sent = was_sent

    def __str__(self) -> str:
        return str(self.args[0])


class TimedOut(ConnectionFailed):
    """Report that no response came in time."""


class UnexpectedResponse(PackhookError):
    """Report a response that no packhook node gives."""


class ApiError(PackhookError):
    """Report an error response. Each code of the API has a class of its own below this one."""

    codes: ClassVar[tuple[str, ...]] = ()
    statuses: ClassVar[tuple[int, ...]] = ()
    """What the API, or a proxy in front of it, responds with: they count where the code is unknown."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        """Return everything that is wrong, and the request's id, by which the operator finds it in the log."""
        found = self.problem
        said = "; ".join(f"{error.pointer}: {error.message}" for error in found.errors) or found.detail or found.title
        request = f", request {found.request_id}" if found.request_id else ""
        return f"{said} ({found.status} {found.code}{request})"

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return self.problem.status

    @property
    def code(self) -> str:
        """Return the stable code, such as ``invalid_input``; ``http_STATUS`` if the response has none."""
        return self.problem.code

    @property
    def title(self) -> str:
        """Return a sentence that is the same for every error of this code."""
        return self.problem.title

    @property
    def detail(self) -> str:
        """Return what is wrong with this request."""
        return self.problem.detail

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """Return every invalid field."""
        return self.problem.errors

    @property
    def request_id(self) -> str | None:
        """Return the id by which the operator finds the request in the log."""
        return self.problem.request_id

    @property
    def retry_after(self) -> float | None:
        """Return the seconds that the server asks to wait; None: it does not say."""
        return self.problem.retry_after


class MalformedBody(ApiError):
    """Report a body that is not valid JSON (400)."""

    codes = ("malformed_body",)
    statuses = (400,)


class Unauthorized(ApiError):
    """Report that the key is not valid (401)."""

    codes = ("unauthorized",)
    statuses = (401,)


class Forbidden(ApiError):
    """Report that the key lacks a scope, which ``detail`` names (403)."""

    codes = ("forbidden",)
    statuses = (403,)


class NotFound(ApiError):
    """Report an unknown id, or one of another organization (404)."""

    codes = ("not_found",)
    statuses = (404,)


class MethodNotAllowed(ApiError):
    """Report a route that this node does not have: it is older than the client (405)."""

    codes = ("method_not_allowed",)
    statuses = (405,)


class Conflict(ApiError):
    """Report that the request contradicts what is there (409)."""

    codes = ("conflict",)
    statuses = (409,)


class PreconditionFailed(ApiError):
    """Report that what ``If-Match`` names was changed since (412)."""

    codes = ("precondition_failed",)
    statuses = (412,)


class CursorExpired(ApiError):
    """Report that events behind a cursor of the feed are not kept any more (410)."""

    codes = ("cursor_expired",)
    statuses = (410,)


class BodyTooLarge(ApiError):
    """Report a body, or an event's data, that is larger than the node allows (413)."""

    codes = ("body_too_large",)
    statuses = (413,)


class UnsupportedMediaType(ApiError):
    """Report a content type other than JSON (415)."""

    codes = ("unsupported_media_type",)
    statuses = (415,)


class InvalidInput(ApiError):
    """Report invalid fields; ``errors`` has all of them (422)."""

    codes = ("invalid_input",)
    statuses = (422,)


class ServerFault(ApiError):
    """Report a fault of packhook; the operator finds it in the log by ``request_id`` (500)."""

    codes = ("error",)
    statuses = (500,)


class Unavailable(ApiError):
    """Report that the node cannot do this right now (503), or that a proxy in front of it cannot reach it."""

    codes: ClassVar[tuple[str, ...]] = ("unavailable", "row_refused")
    statuses: ClassVar[tuple[int, ...]] = (502, 503, 504)


class Overloaded(Unavailable):
    """Report that too much of this is going on at once: the node did nothing (503)."""

    codes = ("overloaded",)
    statuses = ()


class RateLimited(Unavailable):
    """Report too many requests: the node did nothing (429)."""

    codes = ("rate_limited",)
    statuses = (429,)


def _below(kind: type[ApiError]) -> Iterable[type[ApiError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


_BY_CODE: Final = {code: kind for kind in _below(ApiError) for code in kind.codes}
_BY_STATUS: Final = {status: kind for kind in _below(ApiError) for status in kind.statuses}


def error_of(problem: Problem) -> ApiError:
    """Return the error of a problem: by its code, else by its status."""
    kind = _BY_CODE.get(problem.code) or _BY_STATUS.get(problem.status, ApiError)
    return kind(problem)
