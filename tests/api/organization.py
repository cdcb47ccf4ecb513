"""One organization of a test's own, and what a test makes in it."""

from typing import Any, Final, Self
from uuid import uuid4

import httpx

from api.node import bearer, eventually

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


def taken(answer: httpx.Response, status: int) -> Json:
    """The body of an answer that has this status."""
    assert answer.status_code == status, answer.text
    body: Json = answer.json()
    return body


class Organization:
    """Asks the API about one organization, as the operator or with a key of the organization."""

    def __init__(self, api: httpx.AsyncClient, organization_id: str) -> None:
        self.api = api
        self.id = organization_id
        self.path = f"/v1/organizations/{organization_id}"

    @classmethod
    async def made(cls, api: httpx.AsyncClient) -> Self:
        """A new one, which no other test sees."""
        organization_id = f"test_{uuid4().hex}"
        taken(await api.post("/v1/organizations", json={"id": organization_id}), 201)
        return cls(api, organization_id)

    async def ask(self, method: str, path: str, key: str = "", **request: Any) -> httpx.Response:  # noqa: ANN401 httpx's
        """Send a request below the organization's path, as the operator or with a key."""
        headers = {**request.pop("headers", {}), **(bearer(key) if key else {})}
        return await self.api.request(method, self.path + path, headers=headers, **request)

    async def key(self, *scopes: str) -> str:
        """The text of a new key with these scopes."""
        return str(taken(await self.ask("POST", "/api-keys", json={"scopes": scopes}), 201)["key"])

    async def webhook(self, endpoint: str = SUBSCRIPTION["endpoint"], **fields: Any) -> Json:  # noqa: ANN401 any field
        """A new webhook; what is not said is as in the documented example."""
        return taken(await self.ask("POST", "/webhooks", json={**SUBSCRIPTION, "endpoint": endpoint, **fields}), 201)

    async def publish(self, event_code: str = "order.created", **data: Any) -> Json:  # noqa: ANN401 any member
        """Publish an order; the receipt."""
        event = {"event_code": event_code, "data": {"id": "ord_1", **data}}
        return taken(await self.ask("POST", "/events", json=event), 202)

    async def deliveries(self, event_id: str) -> list[Json]:
        """The deliveries of an event."""
        found: list[Json] = taken(await self.ask("GET", f"/events/{event_id}"), 200)["deliveries"]
        return found

    async def story(self, delivery_id: str) -> Json:
        """A delivery, whole."""
        return taken(await self.ask("GET", f"/deliveries/{delivery_id}"), 200)

    async def finished(self, delivery_id: str) -> Json:
        """A delivery, once it is finished."""
        return await eventually(lambda: self.story(delivery_id), lambda story: story["status"] in FINISHED)

    async def delivered(self, event_id: str) -> Json:
        """The first delivery of an event, once it is finished."""
        (delivery, *_) = await self.deliveries(event_id)
        return await self.finished(delivery["id"])

    async def contents(self) -> Json:
        """All that is kept of it, to be compared."""
        lists = ("/webhooks", "/events", "/deliveries", "/api-keys", "/audit")
        found = {path: taken(await self.ask("GET", path, params={"per_page": 100}), 200)["data"] for path in lists}
        for key in found["/api-keys"]:
            del key["last_used_at"]  # written down by the node now and then
        return found
