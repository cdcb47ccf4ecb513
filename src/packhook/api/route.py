"""Declare one route: its scope, handler, schemas, query parameters, errors and tag. ``routes.py`` has them all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from packhook.api.parameters import ListQuery, Query
from packhook.core import errors
from packhook.core.errors import PackhookError

BASE: Final = "/v1"
ORGANIZATION: Final = "/organizations/{organizationId}"

H = TypeVar("H")
Errors = tuple[type[PackhookError], ...]


@dataclass(frozen=True, slots=True)
class Route(Generic[H]):
    """Declare one route. ``scope`` None: the operator key only; "": any key.

    ``also``: other successful responses, by status. ``body`` None: one other than ``{}`` is refused.
    ``is_body_optional``: without a body, the body's defaults hold.
    ``has_location``, ``has_etag``: its response has that header.
    """

    tag: str
    method: str
    path: str
    scope: str | None
    handler: H
    status: int
    response: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    query: ListQuery[Any] | Query | None = None
    errors: Errors = ()
    takes_idempotency_key: bool = False
    has_location: bool = False
    has_etag: bool = False
    takes_if_match: bool = False
    is_body_optional: bool = False
    also: Mapping[int, type[BaseModel]] = field(default_factory=dict)

    def all_errors(self) -> Errors:
        """Return every error that this route can answer."""
        kinds: Errors = (errors.Unauthorized, errors.Forbidden, errors.RateLimited, errors.Overloaded)
        kinds += (errors.Unavailable, errors.PackhookError, errors.InvalidInput)  # the last one: a repeated header
        if self.body is not None:
            kinds += (errors.MalformedBody, errors.BodyTooLarge, errors.UnsupportedMediaType)
        if self.takes_idempotency_key:
            kinds += (errors.Conflict,)
        if self.takes_if_match:
            kinds += (errors.PreconditionFailed,)
        return tuple(dict.fromkeys(kinds + self.errors))
