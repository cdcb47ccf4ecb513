"""Manage an organization of a test's own through the API."""

from typing import Any, Final, Self
from uuid import uuid4

import httpx

from support.api_node import bearer, eventually

Json = dict[str, Any]

JSON: Final = {"content-type": "application/json"}
SECRET: Final = "q9NhjkjV9o"
SUBSCRIPTION: Final = {
    "event_code": "order.created",
    "endpoint": "https://myapp.packcloud.local/order-created",
    "secret": SECRET,
}
EVENT: Final = {"event_code": "order.created", "data": {"id": "ord_1"}}
FINISHED: Final = ("delivered", "exhausted", "canceled")


def body_of(answer: httpx.Response, status: int) -> Json:
    """Return the body of a response that has this status."""
    assert answer.status_code == status, answer.text
    body: Json = answer.json()
    return body


class Organization:
    """Call the API about one organization, as the operator or with an API key."""

    def __init__(self, api: httpx.AsyncClient, organization_id: str) -> None:
        self.api = api
        self.id = organization_id
        self.path = f"/v1/organizations/{organization_id}"

    @classmethod
    async def create(cls, api: httpx.AsyncClient) -> Self:
        """Create one that no other test sees."""
        organization_id = f"test_{uuid4().hex}"
        body_of(await api.post("/v1/organizations", json={"id": organization_id}), 201)
        return cls(api, organization_id)

    async def ask(self, method: str, path: str, key: str = "", **request: Any) -> httpx.Response:  # noqa: ANN401 httpx's
        """Send a request below the organization's path, as the operator or with a key."""
        headers = {**request.pop("headers", {}), **(bearer(key) if key else {})}
        return await self.api.request(method, self.path + path, headers=headers, **request)

    async def key(self, *scopes: str) -> str:
        """Create a key with these scopes and return its text."""
        return str(body_of(await self.ask("POST", "/api-keys", json={"scopes": scopes}), 201)["key"])

    async def webhook(self, endpoint: str = SUBSCRIPTION["endpoint"], **fields: Any) -> Json:  # noqa: ANN401 any field
        """Create a webhook; fields that are not given are as in the documented example."""
        return body_of(await self.ask("POST", "/webhooks", json={**SUBSCRIPTION, "endpoint": endpoint, **fields}), 201)

    async def publish(self, event_code: str = "order.created", **data: Any) -> Json:  # noqa: ANN401 any member
        """Publish an order and return the receipt."""
        event = {"event_code": event_code, "data": {"id": "ord_1", **data}}
        return body_of(await self.ask("POST", "/events", json=event), 202)

    async def deliveries(self, event_id: str) -> list[Json]:
        """Return the deliveries of an event."""
        found: list[Json] = body_of(await self.ask("GET", f"/events/{event_id}"), 200)["deliveries"]
        return found

    async def detail(self, delivery_id: str) -> Json:
        """Return a delivery with all details."""
        return body_of(await self.ask("GET", f"/deliveries/{delivery_id}"), 200)

    async def finished(self, delivery_id: str) -> Json:
        """Wait until a delivery is finished and return it."""
        return await eventually(lambda: self.detail(delivery_id), lambda detail: detail["status"] in FINISHED)

    async def delivered(self, event_id: str) -> Json:
        """Wait until the first delivery of an event is finished and return it."""
        (delivery, *_) = await self.deliveries(event_id)
        return await self.finished(delivery["id"])

    async def contents(self) -> Json:
        """Return everything stored of it, for comparison."""
        lists = ("/webhooks", "/events", "/deliveries", "/api-keys", "/audit")
        found = {path: body_of(await self.ask("GET", path, params={"per_page": 100}), 200)["data"] for path in lists}
        for key in found["/api-keys"]:
            del key["last_used_at"]  # written down by the node now and then
        return found
