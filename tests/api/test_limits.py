"""Test request rates of keys and organizations: 429 with the time to wait."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from api.organization import EVENT, JSON, SUBSCRIPTION, Organization
from packhook.api.headers import RATE_LIMIT
from packhook.core.errors import Overloaded, RateLimited, Unauthorized
from packhook.service import authentication
from packhook.service.authentication import RateLimiter
from packhook.settings import Settings
from packhook.testing import ManualClock
from support.api_node import OPERATOR_KEY, SENDING, application, bearer, running_node


class Seconds:
    """Provide a monotonic clock that moves only on request."""

    now = 1_000.0

    def __call__(self) -> float:
        """Return the current time."""
        return self.now


def body_of(limits: RateLimiter, times: int, key: str = "key_1", organization: str = "acme") -> int:
    """Return how many of these requests are accepted."""
    let_in = 0
    for _ in range(times):
        try:
            limits.acquire(key, organization)
        except RateLimited:
            continue
        let_in += 1
    return let_in


def test_a_seconds_worth_at_once_and_then_evenly() -> None:
    """Allow ten at once, then one each tenth of a second, and ten again after a second of rest."""
    seconds = Seconds()
    limits = RateLimiter(Settings(api_key_rate_limit=10), seconds)
    assert body_of(limits, 50) == 10
    seconds.now += 0.1
    assert body_of(limits, 50) == 1
    seconds.now += 60
    assert body_of(limits, 50) == 10


def test_a_rate_below_one_lets_one_in() -> None:
    """Allow one in four seconds; the error says how long to wait."""
    seconds = Seconds()
    limits = RateLimiter(Settings(api_key_rate_limit=0.25), seconds)
    assert body_of(limits, 5) == 1
    with pytest.raises(RateLimited) as refused:
        limits.acquire("key_1", "acme")
    assert (refused.value.retry_after_seconds, refused.value.detail) == (
        4,
        "this API key may make 0.25 requests a second",
    )
    seconds.now += refused.value.retry_after_seconds
    assert body_of(limits, 5) == 1


def test_keys_are_counted_apart_and_organizations_together() -> None:
    """Limit two keys to five each, and their organization to seven."""
    limits = RateLimiter(Settings(api_key_rate_limit=5, organization_rate_limit=7), Seconds())
    assert [body_of(limits, 9, "key_1"), body_of(limits, 9, "key_2"), body_of(limits, 9, "key_3", "other")] == [5, 2, 5]


def test_the_operator_and_no_limit() -> None:
    """Limit nothing with 0, and never the operator."""
    assert body_of(RateLimiter(Settings(), Seconds()), 1_000) == 1_000
    limits = RateLimiter(Settings(api_key_rate_limit=1, organization_rate_limit=1), Seconds())
    for _ in range(100):
        limits.acquire(None, None)


def test_what_is_left() -> None:
    """Say how many may be made at once, how many are left, and when all are again; of two limits the tighter one."""
    seconds = Seconds()
    limits = RateLimiter(Settings(api_key_rate_limit=5, organization_rate_limit=3), seconds)
    assert [limits.acquire("key_1", "acme") for _ in range(2)] == [(3, 2, 1), (3, 1, 1)]
    assert limits.acquire("key_1", None) == (5, 2, 1)
    seconds.now += 1 / 3
    assert limits.acquire("key_2", "acme") == (3, 1, 1)
    limits.acquire("key_2", "acme")
    with pytest.raises(RateLimited) as refused:
        limits.acquire("key_2", "acme")
    assert refused.value.allowance == (3, 0, 1)
    assert RateLimiter(Settings(api_key_rate_limit=0.25), Seconds()).acquire("key_1", None) == (1, 0, 4)
    assert RateLimiter(Settings(), Seconds()).acquire("key_1", "acme") is None


async def test_headers_of_every_response(tmp_path: Path) -> None:
    """With a limit each response has what is left: good, refused, unknown or published; the operator has no limit."""
    async with application(tmp_path, ManualClock(), api_key_rate_limit=1000) as (api, _, _):
        organization, another = await Organization.create(api), await Organization.create(api)
        key = await organization.key("events:publish", "events:read")
        repeated = [*bearer(key).items(), ("idempotency-key", "a"), ("idempotency-key", "b"), *JSON.items()]
        with_key = [
            await organization.ask("GET", "/events", key),
            await organization.ask("POST", "/events", key, json=EVENT),
            await organization.ask("POST", "/events", key, json={}),
            await organization.ask("POST", "/webhooks", key, json=SUBSCRIPTION),
            await another.ask("POST", "/events", key, json=EVENT),
            await organization.ask("PATCH", "/events", key),
            await api.get("/v1/nothing", headers=bearer(key)),
            await api.post(organization.path + "/events", headers=repeated, json=EVENT),
        ]
        without = [await organization.ask("GET", "/events"), await organization.ask("GET", "/events", "wrong")]
    assert [response.status_code for response in with_key] == [200, 202, 422, 403, 404, 405, 404, 422]
    names = [name.lower() for name in RATE_LIMIT]
    for response in with_key:
        assert response.headers["ratelimit-limit"] == "1000"
        assert [response.headers.get_list(name) for name in names] == [[response.headers[name]] for name in names]
        assert 0 <= int(response.headers["ratelimit-remaining"]) < 1000
    assert not [name for response in without for name in response.headers if name in names]


async def test_at_the_door(tmp_path: Path) -> None:
    """Respond with 429 and ``Retry-After`` to publishes and reads; store nothing of a refused request."""
    with running_node(tmp_path, **SENDING, api_key_rate_limit="2") as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
            organization = await Organization.create(api)
            key = await organization.key("events:publish", "events:read")
            answers = [await organization.ask("POST", "/events", key, json=EVENT) for _ in range(8)]
            answers.append(await organization.ask("GET", "/events", key))
            kept = (await organization.contents())["/events"]
    accepted = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(accepted) == len(kept) >= 2
    assert refused
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.headers["ratelimit-remaining"] for answer in refused} == {"0"}
    assert refused[0].json() == {
        "type": "/errors/rate_limited",
        "title": "Too many requests; slow down.",
        "status": 429,
        "detail": "this API key may make 2 requests a second",
    }


async def test_refused_requests_count(tmp_path: Path) -> None:
    """Respond with 429 after a second's worth of 403, 404 and 422, as after good requests."""
    with running_node(tmp_path, api_key_rate_limit="3") as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
            organization, another = await Organization.create(api), await Organization.create(api)
            repeated = [("idempotency-key", "a"), ("idempotency-key", "b"), *JSON.items()]
            requests: dict[int, Callable[[str], Awaitable[httpx.Response]]] = {
                403: lambda key: organization.ask("POST", "/webhooks", key, json=SUBSCRIPTION),
                404: lambda key: another.ask("POST", "/events", key, json=EVENT),
                405: lambda key: organization.ask("DELETE", "/events", key),
                422: lambda key: api.post(
                    organization.path + "/events", headers=[*bearer(key).items(), *repeated], json=EVENT
                ),
            }
            unknown = [
                (404, lambda key, path=path: api.get(path, headers=bearer(key)))
                for path in ("/v1/nothing", f"{organization.path}%2Fevents", "/nothing")
            ]
            for status, ask in (*requests.items(), *unknown):
                key = await organization.key("events:publish")
                statuses = [(await ask(key)).status_code for _ in range(12)]
                assert statuses[:3] == [status] * 3
                assert 429 in statuses[3:]
                assert set(statuses) == {status, 429}


async def test_good_keys_do_not_wait_for_wrong_ones(tmp_path: Path) -> None:
    """Look up a key that was valid before while many wrong keys wait for their look-up."""
    async with application(tmp_path, ManualClock()) as (api, service, _):
        organization = await Organization.create(api)
        key = await organization.key("events:publish")
        assert (await organization.ask("POST", "/events", key, json=EVENT)).status_code == 202
        wrong = [asyncio.create_task(organization.ask("POST", "/events", f"phk_{n}", json=EVENT)) for n in range(60)]
        refused = await next(asyncio.as_completed(wrong))
        service.access.invalidate()
        good = await organization.ask("POST", "/events", key, json=EVENT)
        waiting = sum(not task.done() for task in wrong)
        answers = await asyncio.gather(*wrong)
    assert (refused.status_code, good.status_code) == (401, 202)
    assert waiting > 30
    assert {answer.status_code for answer in answers} == {401}


async def test_unknown_keys_of_one_address_leave_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse at once what exceeds half of the places; a new key from another address is looked up."""
    monkeypatch.setattr(authentication, "WRONG_KEY_SECONDS", 0.0)
    share = authentication.MAX_UNKNOWN_WAITING // 2
    async with application(tmp_path, ManualClock()) as (api, service, _):
        key = await (await Organization.create(api)).key("events:publish")
        wrong = [service.access.authenticate(f"phk_{n}", lambda: "192.0.2.1") for n in range(share + 20)]
        *refused, good = await asyncio.gather(
            *wrong, service.access.authenticate(key, lambda: "192.0.2.2"), return_exceptions=True
        )
    assert [type(error) for error in refused] == [Unauthorized] * share + [Overloaded] * 20
    assert isinstance(good, authentication.Principal)
