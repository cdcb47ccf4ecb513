"""Follow one event from publish to delivery: the purpose of packhook in one test. Read this first.

A platform subscribes a webhook and publishes an order; the receiver gets it once, signed, byte for byte. The node is a
process (``packhook serve``) that the test uses over its HTTP API. The receiver is a real server, which verifies with
``standardwebhooks``, the library that receivers use.
"""

import base64
import json
from pathlib import Path
from typing import Final

import httpx
from standardwebhooks import Webhook

from packhook.testing import Receiver, Status
from support.api_node import OPERATOR_KEY, SENDING, bearer, eventually, running_node

SECRET: Final = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
ORDER: Final = b'{"id": "ord_1", "status":"created",  "total": {"currency":"EUR","value":"9.95"}}'


async def test_one_event(tmp_path: Path) -> None:
    """Deliver a published order to the receiver, and show the delivery in the history."""
    with running_node(tmp_path, **SENDING) as url:
        async with httpx.AsyncClient(base_url=f"{url}/v1") as api, Receiver(Status(200, body=b"thanks")) as receiver:
            # The operator creates an organization, and an API key for its platform.
            await api.post("/organizations", headers=bearer(OPERATOR_KEY), json={"id": "northwind"})
            scopes = ["webhooks:write", "events:publish", "events:read"]
            key = await api.post(
                "/organizations/northwind/api-keys", headers=bearer(OPERATOR_KEY), json={"scopes": scopes}
            )
            api.headers.update(bearer(key.json()["key"]))
            api.base_url = httpx.URL(f"{url}/v1/organizations/northwind")

            # The platform subscribes an endpoint to one event code.
            subscription = {"event_code": "order.created", "endpoint": f"{receiver.url}/orders", "secret": SECRET}
            webhook = (await api.post("/webhooks", json=subscription)).json()

            # It publishes an order: 202 means that the event is on disk, with one delivery per webhook.
            body = b'{"event_code": "order.created", "data": ' + ORDER + b"}"
            published = await api.post("/events", content=body, headers={"content-type": "application/json"})
            event = published.json()
            assert (published.status_code, event["deliveries"]) == (202, 1)

            # The receiver gets one POST with a valid signature.
            (received,) = await receiver.wait_for(1)
            assert (received.method, received.path) == ("POST", "/orders")
            assert Webhook(SECRET).verify(received.body, received.headers) == {
                "id": event["id"],
                "type": "order.created",
                "timestamp": event["created_at"],
                "organization_id": "northwind",
                "data": json.loads(ORDER),
            }
            assert received.body.endswith(b'"data":' + ORDER + b"}"), "the data is byte for byte what was published"
            assert received.headers["webhook-id"] == event["id"], "the same in every attempt, for deduplication"

            # The history shows that the first attempt delivered it, with request and response.
            async def delivery() -> httpx.Response:
                listed = (await api.get("/deliveries", params={"event_id": event["id"]})).json()["data"]
                return await api.get(f"/deliveries/{listed[0]['id']}")

            detail = (await eventually(delivery, lambda response: response.json()["status"] == "delivered")).json()
            assert (detail["webhook_id"], detail["attempt_count"], detail["next_attempt_at"]) == (
                webhook["id"],
                1,
                None,
            )
            (attempt,) = detail["attempts"]
            assert (attempt["number"], attempt["url"], attempt["error"]) == (1, f"{receiver.url}/orders", None)
            assert (attempt["status_code"], attempt["response_body"]) == (200, "thanks")
            assert attempt["request_headers"]["webhook-signature"] == received.headers["webhook-signature"]
            assert len(receiver.received) == 1
