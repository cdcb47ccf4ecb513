"""Test that a key revoked on one node stops working on another within about a second."""

import time
from pathlib import Path

import httpx

from support.processes import running

MASTER_KEY = "test:" + "QUFB" * 10 + "QUE="
ABOUT_A_SECOND = 1.5
EVENT = {"event_code": "order.created", "data": {"id": "ord_1"}}


async def test_a_revocation_counts_on_another_node(tmp_path: Path, url: str) -> None:
    """No later request with it is accepted, to read or to publish; another key works as before."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    async with (
        running(one, database=url, master_keys=MASTER_KEY) as here,
        running(two, database=url, master_keys=MASTER_KEY) as there,
        here.client() as operator,
    ):
        assert (await operator.post("/v1/organizations", json={"id": "acme"})).status_code == 201
        revoked, other = [await _key(operator) for _ in range(2)]
        async with there.client(revoked["key"]) as shop, there.client(other["key"]) as theirs:
            assert {await _ask(shop), await _publish(shop)} == {200, 202}
            answer = await operator.delete(f"/v1/organizations/acme/api-keys/{revoked['id']}")
            assert answer.status_code == 204
            since = time.monotonic()
            last = since
            while (begun := time.monotonic()) and {await _ask(shop), await _publish(shop)} != {401}:
                last = begun
            assert last - since < ABOUT_A_SECOND
            assert {await _ask(theirs), await _publish(theirs)} == {200, 202}


async def _key(operator: httpx.AsyncClient) -> dict[str, str]:
    asked = {"scopes": ["events:read", "events:publish"]}
    made: dict[str, str] = (await operator.post("/v1/organizations/acme/api-keys", json=asked)).json()
    return made


async def _ask(shop: httpx.AsyncClient) -> int:
    return (await shop.get("/v1/organizations/acme/events")).status_code


async def _publish(shop: httpx.AsyncClient) -> int:
    return (await shop.post("/v1/organizations/acme/events", json=EVENT)).status_code
