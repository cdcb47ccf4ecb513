"""Receive orders in Flask: verify with the public Standard Webhooks library, store each event once.

WEBHOOK_SECRET=whsec_… python flask_receiver.py
"""

import os
import sqlite3
from contextlib import closing
from typing import Any, Final

from flask import Flask, Response, request
from standardwebhooks import Webhook, WebhookVerificationError

SECRET: Final = os.environ["WEBHOOK_SECRET"]
DATABASE: Final = os.environ.get("DATABASE", "orders.db")
# A secret without the prefix is its own bytes.
webhook: Final = Webhook(SECRET if SECRET.startswith("whsec_") else SECRET.encode())
app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024

with closing(sqlite3.connect(DATABASE)) as database, database:
    database.execute("CREATE TABLE IF NOT EXISTS handled (event_id TEXT PRIMARY KEY)")
    database.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT, reference TEXT)")


def handle(event: dict[str, Any]) -> None:
    """Store the order of an event, unless the event was handled before; both in one transaction."""
    with closing(sqlite3.connect(DATABASE, timeout=10)) as connection, connection:
        statement = "INSERT INTO handled VALUES (?) ON CONFLICT DO NOTHING"
        if connection.execute(statement, (event["id"],)).rowcount:
            order = event["data"]
            connection.execute("INSERT INTO orders VALUES (?, ?)", (order["id"], order.get("reference")))


@app.post("/order-created")
def order_created() -> Response:
    """Verify the raw body, handle the event, respond 204. An exception in between is a 500: packhook tries again."""
    try:
        event = webhook.verify(request.get_data(), dict(request.headers))
    except (WebhookVerificationError, ValueError) as error:  # ValueError: a header cannot be read
        return Response(str(error), 401)
    handle(event)
    return Response(status=204)


@app.get("/orders")
def orders() -> list[str]:
    """List the ids of the orders that were stored."""
    with closing(sqlite3.connect(DATABASE)) as connection:
        return [order_id for (order_id,) in connection.execute("SELECT id FROM orders ORDER BY rowid")]


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "9000")))
