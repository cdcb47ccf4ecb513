"""Receive webhooks in FastAPI or Starlette.

::

    @app.post("/order-created")
    @webhook(SECRET)
    async def order_created(delivery: Delivery) -> None: ...

    # or, in FastAPI, beside other dependencies:
    @app.post("/order-shipped", status_code=204)
    async def order_shipped(delivery: Annotated[Delivery, Depends(verified(SECRET))]) -> None: ...
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from packhook_client.receiving.admission import ACCEPTED, MAX_BODY_BYTES, Rejection, admit, too_large
from packhook_client.receiving.delivery import Delivery
from packhook_client.receiving.verification import TOLERANCE_SECONDS, Verifier

Endpoint = Callable[[Request], Awaitable[Response]]


def webhook(
    secret: str | Sequence[str], *, max_body_bytes: int = MAX_BODY_BYTES, tolerance: float = TOLERANCE_SECONDS
) -> Callable[[Callable[[Delivery], object]], Endpoint]:
    """Make an endpoint of a handler, ``async`` or not, that is called with each verified delivery.

    It responds 204 when the handler returns, 401 with a reason to what is not verified, 413 to a body that is too
    large. If the handler raises, the framework responds 500, and packhook sends the event again.
    """
    verifier = Verifier(secret, tolerance)

    def decorate(handler: Callable[[Delivery], object]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            admitted = await _admit(verifier, request, max_body_bytes)
            if isinstance(admitted, Rejection):
                return PlainTextResponse(admitted.reason, admitted.status)
            if inspect.iscoroutinefunction(handler):
                await handler(admitted)
            else:
                await run_in_threadpool(handler, admitted)
            return Response(status_code=ACCEPTED)

        endpoint.__name__, endpoint.__doc__ = handler.__name__, handler.__doc__
        return endpoint

    return decorate


def verified(
    secret: str | Sequence[str], *, max_body_bytes: int = MAX_BODY_BYTES, tolerance: float = TOLERANCE_SECONDS
) -> Callable[[Request], Awaitable[Delivery]]:
    """Return a dependency that verifies a request; it raises HTTPException 401 or 413 with the reason."""
    verifier = Verifier(secret, tolerance)

    async def receive(request: Request) -> Delivery:
        admitted = await _admit(verifier, request, max_body_bytes)
        if isinstance(admitted, Rejection):
            raise HTTPException(admitted.status, admitted.reason)
        return admitted

    return receive


async def _admit(verifier: Verifier, request: Request, max_body_bytes: int) -> Delivery | Rejection:
    if int(request.headers.get("content-length", 0)) > max_body_bytes:
        return too_large(max_body_bytes)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > max_body_bytes:
            break
    return admit(verifier, request.headers, bytes(body), max_body_bytes)
