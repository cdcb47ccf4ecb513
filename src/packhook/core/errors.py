"""Define all errors in one tree. Each has a stable ``code``, a title, and a detail: what went wrong.

The API turns them into RFC 9457 problems (``api/problems.py``), the command line into a sentence and an exit code.
A failed request to an endpoint is no error here: it is a value, :class:`packhook.core.model.Outcome`.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

MAX_FIELD_ERRORS: Final = 100
"""How many invalid fields one error names, the first: a response is bounded, however much is wrong."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """Describe one invalid field: an RFC 6901 JSON Pointer or a parameter's name, a stable code, and a message."""

    field: str
    code: str
    message: str


class Allowance(NamedTuple):
    """Say how many requests may be made at once, how many of them are left, and in how many seconds all are again."""

    limit: int
    remaining: int
    reset: int


class PackhookError(Exception):
    """Define the root. The title is an argument of each subclass, because ``python -OO`` removes docstrings.

    ``allowance`` is what is left of the rate limit of who made the request, where it has one.
    """

    code: ClassVar[str] = "error"
    _title: ClassVar[str] = "Something went wrong."
    allowance: Allowance | None = None

    def __init_subclass__(cls, *, title: str) -> None:
        """Give the subclass its title, and the same as its docstring."""
        super().__init_subclass__()
        cls._title = cls.__doc__ = title

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title())
        self.detail = detail or self.title()

    @classmethod
    def title(cls) -> str:
        """Return one sentence, the same for every error of this kind."""
        return cls._title


class RequestError(PackhookError, title="The request cannot be answered as asked."):
    code = "request_error"


class MalformedBody(RequestError, title="The body is not valid JSON."):
    code = "malformed_body"


class InvalidInput(RequestError, title="Some fields are not valid."):
    code = "invalid_input"

    def __init__(self, errors: list[FieldError]) -> None:
        errors = errors[:MAX_FIELD_ERRORS]
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class Unauthorized(RequestError, title="No API key, or not a valid one."):
    code = "unauthorized"


class Forbidden(RequestError, title="The API key lacks the scope."):
    code = "forbidden"


class NotFound(RequestError, title="No such thing here."):
    code = "not_found"


class MethodNotAllowed(RequestError, title="The path exists, the method does not."):
    code = "method_not_allowed"


class Conflict(RequestError, title="The request contradicts what is already there."):
    code = "conflict"


class PreconditionFailed(RequestError, title="It was changed since you read it."):
    code = "precondition_failed"


class CursorExpired(RequestError, title="Events behind this cursor are not kept any more: read from the beginning."):
    code = "cursor_expired"


class BodyTooLarge(RequestError, title="The body is larger than allowed."):
    code = "body_too_large"


class UnsupportedMediaType(RequestError, title="The body's content type is not application/json."):
    code = "unsupported_media_type"


class Unavailable(PackhookError, title="The service cannot do this right now; try again later."):
    code = "unavailable"

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Overloaded(Unavailable, title="Too much of this is going on at once; try again later."):
    code = "overloaded"


class RowRefused(Unavailable, title="The database refuses a row that it was given."):
    code = "row_refused"


class RateLimited(Unavailable, title="Too many requests; slow down."):
    code = "rate_limited"


class StartError(PackhookError, title="packhook cannot start like this."):
    code = "start_error"


class InvalidSettings(StartError, title="Some settings are not valid."):
    code = "invalid_settings"


class SchemaTooNew(StartError, title="The database was written by a newer packhook."):
    code = "schema_too_new"


class DatabaseInUse(StartError, title="Another process has this database open."):
    code = "database_in_use"
