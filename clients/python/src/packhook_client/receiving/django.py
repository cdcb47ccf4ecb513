"""Receive webhooks in Django.

::

    @webhook(SECRET)
    def order_created(delivery: Delivery) -> None: ...

    urlpatterns = [path("order-created", order_created)]
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from packhook_client.receiving.admission import ACCEPTED, MAX_BODY_BYTES, Rejection, admit, too_large
from packhook_client.receiving.delivery import Delivery
from packhook_client.receiving.verification import TOLERANCE_SECONDS, Verifier

View = Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]


def webhook(
    secret: str | Sequence[str], *, max_body_bytes: int = MAX_BODY_BYTES, tolerance: float = TOLERANCE_SECONDS
) -> Callable[[Callable[[Delivery], object]], View]:
    """Make a view of a handler, ``async`` or not, that is called with each verified delivery.

    It needs no CSRF token, because the signature proves the sender. It responds 204 when the handler returns, 401
    with a reason to what is not verified, 413 to a body that is too large, 405 to other methods. If the handler raises,
    Django responds 500, and packhook sends the event again.
    """
    verifier = Verifier(secret, tolerance)

    def decorate(handler: Callable[[Delivery], object]) -> View:
        if inspect.iscoroutinefunction(handler):

            async def view(request: HttpRequest) -> HttpResponse:
                admitted = _admit(verifier, request, max_body_bytes)
                if isinstance(admitted, Delivery):
                    await handler(admitted)
                return _response(admitted)

            named: View = view
        else:

            def view_in_thread(request: HttpRequest) -> HttpResponse:
                admitted = _admit(verifier, request, max_body_bytes)
                if isinstance(admitted, Delivery):
                    handler(admitted)
                return _response(admitted)

            named = view_in_thread
        named.__name__, named.__doc__ = handler.__name__, handler.__doc__
        protected: View = csrf_exempt(require_POST(named))
        return protected

    return decorate


def _admit(verifier: Verifier, request: HttpRequest, max_body_bytes: int) -> Delivery | Rejection:
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > max_body_bytes:
        return too_large(max_body_bytes)
    body = request.body if length else request.read(max_body_bytes + 1)
    return admit(verifier, request.headers, body, max_body_bytes)


def _response(admitted: Delivery | Rejection) -> HttpResponse:
    if isinstance(admitted, Rejection):
        return HttpResponse(admitted.reason, status=admitted.status, content_type="text/plain; charset=utf-8")
    return HttpResponse(status=ACCEPTED)
