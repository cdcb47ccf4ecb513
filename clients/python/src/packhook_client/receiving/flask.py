"""Receive webhooks in Flask.

::

    @app.post("/order-created")
    @webhook(SECRET)
    def order_created(delivery: Delivery) -> None: ...
"""

from collections.abc import Callable, Sequence

from flask import Response, current_app, request

from packhook_client.receiving.admission import ACCEPTED, MAX_BODY_BYTES, Rejection, admit, too_large
from packhook_client.receiving.delivery import Delivery
from packhook_client.receiving.verification import TOLERANCE_SECONDS, Verifier

View = Callable[[], Response]


def webhook(
    secret: str | Sequence[str], *, max_body_bytes: int = MAX_BODY_BYTES, tolerance: float = TOLERANCE_SECONDS
) -> Callable[[Callable[[Delivery], object]], View]:
    """Make a view of a handler, ``async`` or not, that is called with each verified delivery.

    It responds 204 when the handler returns, 401 with a reason to what is not verified, 413 to a body that is too
    large. If the handler raises, Flask responds 500, and packhook sends the event again.
    """
    verifier = Verifier(secret, tolerance)

    def decorate(handler: Callable[[Delivery], object]) -> View:
        def view() -> Response:
            admitted = _admit(verifier, max_body_bytes)
            if isinstance(admitted, Rejection):
                return Response(admitted.reason, admitted.status, content_type="text/plain; charset=utf-8")
            current_app.ensure_sync(handler)(admitted)
            return Response(status=ACCEPTED)

        view.__name__, view.__doc__ = handler.__name__, handler.__doc__
        return view

    return decorate


def _admit(verifier: Verifier, max_body_bytes: int) -> Delivery | Rejection:
    length = request.content_length
    if length is not None and length > max_body_bytes:
        return too_large(max_body_bytes)
    body = request.get_data() if length is not None else request.stream.read(max_body_bytes + 1)
    return admit(verifier, request.headers, body, max_body_bytes)
