"""Define all errors in one tree. Each has a stable ``code``; its docstring is its title, what went wrong its detail.

The API turns them into RFC 9457 problems (``api/problems.py``), the command line into a sentence and an exit code.
A failed request to an endpoint is no error here: it is a value, :class:`packhook.core.model.Outcome`.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """Describe one invalid field: an RFC 6901 JSON Pointer or a parameter's name, a stable code, and a message."""

    field: str
    code: str
    message: str


class PackhookError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title())
        self.detail = detail or self.title()

    @classmethod
    def title(cls) -> str:
        """Return the first line of the docstring: the same for every error of this kind."""
        return (cls.__doc__ or "").strip().splitlines()[0]


class RequestError(PackhookError):
    """The request cannot be answered as asked."""

    code = "request_error"


class MalformedBody(RequestError):
    """The body is not valid JSON."""

    code = "malformed_body"


class InvalidInput(RequestError):
    """Some fields are not valid."""

    code = "invalid_input"

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class Unauthorized(RequestError):
    """No API key, or not a valid one."""

    code = "unauthorized"


class Forbidden(RequestError):
    """The API key lacks the scope."""

    code = "forbidden"


class NotFound(RequestError):
    """No such thing here."""

    code = "not_found"


class MethodNotAllowed(RequestError):
    """The path exists, the method does not."""

    code = "method_not_allowed"


class Conflict(RequestError):
    """The request contradicts what is already there."""

    code = "conflict"


class BodyTooLarge(RequestError):
    """The body is larger than allowed."""

    code = "body_too_large"


class UnsupportedMediaType(RequestError):
    """The body's content type is not application/json."""

    code = "unsupported_media_type"


class Unavailable(PackhookError):
    """The service cannot do this right now; try again later."""

    code = "unavailable"

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Overloaded(Unavailable):
    """Too much of this is going on at once; try again later."""

    code = "overloaded"


class RowRefused(Unavailable):
    """The database refuses a row that it was given."""


class RateLimited(Unavailable):
    """Too many requests; slow down."""

    code = "rate_limited"


class StartError(PackhookError):
    """packhook cannot start like this."""

    code = "start_error"


class InvalidSettings(StartError):
    """Some settings are not valid."""

    code = "invalid_settings"


class SchemaTooNew(StartError):
    """The database was written by a newer packhook."""

    code = "schema_too_new"


class DatabaseInUse(StartError):
    """Another process has this database open."""

    code = "database_in_use"
