"""Publish events to packhook, manage its webhooks, and receive its deliveries.

::

    with Packhook("https://hooks.example.com", key, "acme") as packhook:
        receipt = packhook.publish("order.created", {"id": "ord_1"})

:class:`Packhook` blocks, :class:`AsyncPackhook` is for asyncio; both have a method for every route of the API. What can
go wrong is a :class:`PackhookError`. ``packhook_client.values`` has what methods return. Each name is imported when it
is used: ``packhook_client.receiving`` does not load the client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from packhook_client.version import __version__

if TYPE_CHECKING:
    from packhook_client.async_client import AsyncPackhook
    from packhook_client.call import UNSET
    from packhook_client.calls.events import NewEvent
    from packhook_client.calls.webhooks import new_secret
    from packhook_client.client import Packhook
    from packhook_client.errors import (
        ApiError,
        BodyTooLarge,
        Conflict,
        ConnectionFailed,
        CursorExpired,
        FieldError,
        Forbidden,
        InvalidArgument,
        InvalidInput,
        InvalidKey,
        MalformedBody,
        MethodNotAllowed,
        NotFound,
        Overloaded,
        PackhookError,
        PreconditionFailed,
        RateLimited,
        ServerFault,
        TimedOut,
        Unauthorized,
        Unavailable,
        UnexpectedResponse,
        UnsupportedMediaType,
    )
    from packhook_client.retry import NO_RETRY, RetryPolicy

__all__ = [
    "NO_RETRY",
    "UNSET",
    "ApiError",
    "AsyncPackhook",
    "BodyTooLarge",
    "Conflict",
    "ConnectionFailed",
    "CursorExpired",
    "FieldError",
    "Forbidden",
    "InvalidArgument",
    "InvalidInput",
    "InvalidKey",
    "MalformedBody",
    "MethodNotAllowed",
    "NewEvent",
    "NotFound",
    "Overloaded",
    "Packhook",
    "PackhookError",
    "PreconditionFailed",
    "RateLimited",
    "RetryPolicy",
    "ServerFault",
    "TimedOut",
    "Unauthorized",
    "Unavailable",
    "UnexpectedResponse",
    "UnsupportedMediaType",
    "__version__",
    "new_secret",
]

_MODULES: Final = {
    "AsyncPackhook": "async_client",
    "NO_RETRY": "retry",
    "NewEvent": "calls.events",
    "Packhook": "client",
    "RetryPolicy": "retry",
    "UNSET": "call",
    "new_secret": "calls.webhooks",
}
"""Where a name comes from; the others are errors."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 any exported name
    """Import a name from its module."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
