"""Test API keys: shown once, valid for their scopes until revoked or expired, with the time of last use."""

import asyncio
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import httpx
import pytest

from api.organization import EVENT, Organization, body_of
from packhook.core.clock import HOUR, SECOND, to_rfc3339
from packhook.service import authentication
from packhook.testing import ManualClock
from support.api_node import OPERATOR_KEY, application, bearer, eventually, running_node

SCOPES: Final = ["webhooks:read", "webhooks:write", "events:publish", "events:read", "deliveries:retry"]
WRONG: Final[list[tuple[str, Any]]] = [
    *[("scopes", value) for value in ([], ["webhooks"], ["events:read", "admin"], "events:read", None, [1])],
    *[("name", value) for value in (1, None, "a" * 201)],
    *[
        ("expires_at", value)
        for value in (
            "",
            "tomorrow",
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2030-13-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            1893456000,
            None,
        )
    ],
]


async def test_key_is_shown_once(organization: Organization) -> None:
    """Return the text once, on creation; the list has only the prefix."""
    body = {"name": "order service", "scopes": ["events:read", "events:publish"]}
    made = body_of(await organization.ask("POST", "/api-keys", json=body), 201)
    key = made.pop("key")
    assert made == {
        "id": made["id"],
        "name": "order service",
        "scopes": ["events:publish", "events:read"],
        "prefix": key[:12],
        "created_at": made["created_at"],
        "expires_at": None,
        "last_used_at": None,
    }
    assert re.fullmatch(r"phk_[A-Za-z0-9_-]{43}", key)
    listed = await organization.ask("GET", "/api-keys")
    assert body_of(listed, 200) == {"data": [made], "prev": None, "next": None, "per_page": 25}
    assert key not in listed.text


async def test_only_its_hash_is_stored(tmp_path: Path) -> None:
    """Store no key in any file of the database, neither an organization's nor the operator's."""
    async with application(tmp_path, ManualClock()) as (api, _, _):
        organization = await Organization.create(api)
        key = await organization.key(*SCOPES)
        assert (await organization.ask("GET", "/events", key)).status_code == 200
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())  # noqa: ASYNC240 nothing else runs
    assert organization.id.encode() in stored
    assert key.encode() not in stored
    assert api.headers["authorization"].removeprefix("Bearer ").encode() not in stored


async def test_keys_are_listed_in_pages(organization: Organization) -> None:
    """List keys oldest first, without revoked ones."""
    body = [{"name": name, "scopes": SCOPES} for name in ("one", "two", "three")]
    made = [body_of(await organization.ask("POST", "/api-keys", json=item), 201) for item in body]
    shown = [{name: value for name, value in item.items() if name != "key"} for item in made]
    await organization.ask("DELETE", f"/api-keys/{made[1]['id']}")
    first = body_of(await organization.ask("GET", "/api-keys", params={"per_page": 1}), 200)
    second = body_of(await organization.api.get(first["next"]), 200)
    assert (first["data"], second["data"], second["next"]) == ([shown[0]], [shown[2]], None)


async def test_revoked_key(organization: Organization) -> None:
    """Refuse a revoked key at once, even just after it was used; accept other keys."""
    body = {"scopes": ["events:read"]}
    made = body_of(await organization.ask("POST", "/api-keys", json=body), 201)
    other = await organization.key("events:read")
    assert (await organization.ask("GET", "/events", made["key"])).status_code == 200
    answer = await organization.ask("DELETE", f"/api-keys/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    problem = body_of(await organization.ask("GET", "/events", made["key"]), 401)
    assert problem["detail"] == "this API key is not valid"
    assert (await organization.ask("GET", "/events", other)).status_code == 200
    assert (await organization.ask("DELETE", f"/api-keys/{made['id']}")).status_code == 404


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use a look-up that was in progress during a revocation for its own request only."""
    found, revoked = asyncio.Event(), asyncio.Event()
    async with application(tmp_path, ManualClock()) as (api, service, store):
        organization = await Organization.create(api)
        made = body_of(await organization.ask("POST", "/api-keys", json={"scopes": ["events:read"]}), 201)

        async def slowly(key_hash: bytes) -> Any:  # noqa: ANN401 the store's own
            answer = await store.find_api_key(key_hash)
            found.set()
            await revoked.wait()
            return answer

        slow = SimpleNamespace(find_api_key=slowly, record_key_usage=store.record_key_usage)
        monkeypatch.setattr(service.access, "_store", slow)
        lookup = asyncio.create_task(organization.ask("GET", "/events", made["key"]))
        await found.wait()
        assert (await organization.ask("DELETE", f"/api-keys/{made['id']}")).status_code == 204
        revoked.set()
        assert (await lookup).status_code == 200
        assert (await organization.ask("GET", "/events", made["key"])).status_code == 401


async def test_expired_key(tmp_path: Path) -> None:
    """Accept a key until its expiry and never after, even just after it was used."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, service, _):
        organization = await Organization.create(api)
        expires_at = to_rfc3339(clock.now() + HOUR)
        body = {"scopes": ["events:read"], "expires_at": expires_at}
        made = body_of(await organization.ask("POST", "/api-keys", json=body), 201)
        clock.advance(HOUR - 1)
        before = await organization.ask("GET", "/events", made["key"])
        clock.advance(1)
        after = await organization.ask("GET", "/events", made["key"])
        service.access.invalidate()
        looked_up = await organization.ask("GET", "/events", made["key"])
    assert made["expires_at"] == expires_at
    assert [before.status_code, after.status_code, looked_up.status_code] == [200, 401, 401]


async def test_a_key_that_expires_while_it_is_in_use(organization: Organization) -> None:
    """Refuse every request that begins after the expiry, reads and publishes, whatever is cached."""
    expires_at = time.time_ns() // 1_000_000 + 2 * SECOND
    body = {"scopes": ["events:read", "events:publish"], "expires_at": to_rfc3339(expires_at)}
    key = body_of(await organization.ask("POST", "/api-keys", json=body), 201)["key"]
    let_in: dict[str, list[int]] = {"GET": [], "POST": []}
    waiting = set(let_in)
    while waiting:
        for method in sorted(waiting):
            begun = time.time_ns() // 1_000_000
            event = EVENT if method == "POST" else None
            if (await organization.ask(method, "/events", key, json=event)).status_code != 401:
                let_in[method].append(begun)
            else:
                assert time.time_ns() // 1_000_000 >= expires_at
                waiting.remove(method)
    assert all(begins and max(begins) < expires_at for begins in let_in.values())


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000Z"),
        ("2030-01-01T02:00:00.25+02:00", "2030-01-01T00:00:00.250Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
async def test_expiry_is_stored_in_utc(organization: Organization, given: str, stored: str) -> None:
    """Accept any RFC 3339 time and show it in UTC with milliseconds."""
    made = body_of(await organization.ask("POST", "/api-keys", json={"scopes": SCOPES, "expires_at": given}), 201)
    assert made["expires_at"] == stored


@pytest.mark.parametrize(("field", "value"), WRONG)
async def test_wrong_value(organization: Organization, field: str, value: object) -> None:
    """Refuse at the field's pointer; create no key, and keep the list readable."""
    problem = body_of(await organization.ask("POST", "/api-keys", json={"scopes": SCOPES, field: value}), 422)
    assert {error["field"].split("/")[1] for error in problem["errors"]} == {field}
    assert (await organization.contents())["/api-keys"] == []


async def test_key_without_the_scope(organization: Organization) -> None:
    """Respond with 403 that names the missing scope."""
    key = await organization.key("webhooks:read")
    problem = body_of(await organization.ask("POST", "/webhooks", key, json={}), 403)
    assert problem["detail"] == "this API key lacks the scope webhooks:write"


async def test_organization_key_is_not_the_operators(organization: Organization) -> None:
    """Refuse organizations and API keys to every API key, whatever its scopes."""
    key = await organization.key(*SCOPES)
    made = await organization.api.post("/v1/organizations", json={}, headers=bearer(key))
    body = [made, await organization.ask("POST", "/api-keys", key, json={"scopes": SCOPES})]
    assert [body_of(answer, 403)["detail"] for answer in body] == ["only the operator key may do this"] * 2


async def test_last_use_appears(organization: Organization) -> None:
    """Show null in ``last_used_at`` until the key is used, and the time soon after."""
    key, unused = await organization.key("events:read"), await organization.key("events:read")

    async def last_uses() -> list[str | None]:
        found = body_of(await organization.ask("GET", "/api-keys"), 200)["data"]
        return [item["last_used_at"] for item in found]

    assert await last_uses() == [None, None]
    assert (await organization.ask("GET", "/events", key)).status_code == 200
    used, never = await eventually(last_uses, lambda uses: uses[0] is not None)
    (made, _) = body_of(await organization.ask("GET", "/api-keys"), 200)["data"]
    assert never is None
    assert used is not None
    assert used >= made["created_at"]
    assert unused != key


async def test_last_use_outlives_a_stop(tmp_path: Path) -> None:
    """Store the time of last use when the node stops."""
    with running_node(tmp_path) as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
            organization = await Organization.create(api)
            key = await organization.key("events:read")
            assert (await organization.ask("GET", "/events", key)).status_code == 200
    with running_node(tmp_path) as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
            (stored,) = body_of(await Organization(api, organization.id).ask("GET", "/api-keys"), 200)["data"]
    assert stored["last_used_at"] >= stored["created_at"]


async def test_when_many_keys_were_used_is_stored_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is a transaction of its own, so that no publish waits for ten thousand rows."""
    monkeypatch.setattr(authentication, "MAX_USAGES", 2)
    async with application(tmp_path, ManualClock()) as (api, service, _):
        organization = await Organization.create(api)
        for name in "abcde":
            made = await organization.ask("POST", "/api-keys", json={"name": name, "scopes": ["events:read"]})
            headers = {"authorization": f"Bearer {made.json()['key']}"}
            assert (await api.get(f"{organization.path}/events", headers=headers)).status_code == 200
        await service.flush()
        listed = (await organization.ask("GET", "/api-keys")).json()["data"]
    assert [bool(key["last_used_at"]) for key in listed] == [True] * 5
