"""Receive webhooks in aiohttp.

::

    @routes.post("/order-created")
    @webhook(SECRET)
    async def order_created(delivery: Delivery) -> None: ...
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from packhook_client.receiving.admission import ACCEPTED, MAX_BODY_BYTES, Rejection, admit, too_large
from packhook_client.receiving.delivery import Delivery
from packhook_client.receiving.verification import TOLERANCE_SECONDS, Verifier

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


def webhook(
    secret: str | Sequence[str], *, max_body_bytes: int = MAX_BODY_BYTES, tolerance: float = TOLERANCE_SECONDS
) -> Callable[[Callable[[Delivery], object]], Endpoint]:
    """Make an endpoint of a handler, ``async`` or not, that is called with each verified delivery.

    It responds 204 when the handler returns, 401 with a reason to what is not verified, 413 to a body that is too
    large. If the handler raises, aiohttp responds 500, and packhook sends the event again.
    """
    verifier = Verifier(secret, tolerance)

    def decorate(handler: Callable[[Delivery], object]) -> Endpoint:
        async def endpoint(request: web.Request) -> web.StreamResponse:
            admitted = await _admit(verifier, request, max_body_bytes)
            if isinstance(admitted, Rejection):
                return web.Response(status=admitted.status, text=admitted.reason)
            if inspect.iscoroutinefunction(handler):
                await handler(admitted)
            else:
                await asyncio.to_thread(handler, admitted)
            return web.Response(status=ACCEPTED)

        endpoint.__name__, endpoint.__doc__ = handler.__name__, handler.__doc__
        return endpoint

    return decorate


async def _admit(verifier: Verifier, request: web.Request, max_body_bytes: int) -> Delivery | Rejection:
    if (request.content_length or 0) > max_body_bytes:
        return too_large(max_body_bytes)
    body = bytearray()
    async for part in request.content.iter_any():
        body += part
        if len(body) > max_body_bytes:
            break
    return admit(verifier, request.headers, bytes(body), max_body_bytes)
