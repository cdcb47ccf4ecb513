"""Receive orders in Django: verify with the public Standard Webhooks library, store each event once.

WEBHOOK_SECRET=whsec_… python django_receiver.py runserver 9000

A whole Django project in one file. In yours, take the view, and give the tables models and a migration.
"""

import os
import sys
from typing import Any, Final

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from standardwebhooks import Webhook, WebhookVerificationError

SECRET: Final = os.environ["WEBHOOK_SECRET"]
# A secret without the prefix is its own bytes.
webhook: Final = Webhook(SECRET if SECRET.startswith("whsec_") else SECRET.encode())
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("DATABASE", "orders.db"),
            "OPTIONS": {"timeout": 10, "transaction_mode": "IMMEDIATE"},
        }
    },
    DATA_UPLOAD_MAX_MEMORY_SIZE=1024 * 1024,
    ROOT_URLCONF=__name__,
)


def handle(event: dict[str, Any]) -> None:
    """Store the order of an event, unless the event was handled before; both in one transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO handled VALUES (%s) ON CONFLICT DO NOTHING", [event["id"]])
        if cursor.rowcount:
            order = event["data"]
            cursor.execute("INSERT INTO orders VALUES (%s, %s)", [order["id"], order.get("reference")])


@csrf_exempt  # the signature proves the sender
@require_POST
def order_created(request: HttpRequest) -> HttpResponse:
    """Verify the raw body, handle the event, respond 204. An exception in between is a 500: packhook tries again."""
    try:
        event = webhook.verify(request.body, dict(request.headers))
    except (WebhookVerificationError, ValueError) as error:  # ValueError: a header cannot be read
        return HttpResponse(str(error), status=401, content_type="text/plain")
    handle(event)
    return HttpResponse(status=204)


@require_GET
def orders(_: HttpRequest) -> HttpResponse:
    """List the ids of the orders that were stored."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM orders ORDER BY rowid")
        return JsonResponse([order_id for (order_id,) in cursor.fetchall()], safe=False)


urlpatterns = [path("order-created", order_created), path("orders", orders)]
application = get_wsgi_application()

with connection.cursor() as database:
    database.execute("CREATE TABLE IF NOT EXISTS handled (event_id TEXT PRIMARY KEY)")
    database.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT, reference TEXT)")

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
