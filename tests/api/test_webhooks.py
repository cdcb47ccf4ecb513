"""Test webhooks: create, read, list, update in part, delete; the documented fields and packhook's settings."""

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.organization import JSON, SUBSCRIPTION, Organization, body_of
from packhook.core.event_types import EVENT_CODES
from support.api_node import OPERATOR_KEY, bearer, running_node

DOCUMENTED: Final = (
    b'{"event_code": "order.created", "endpoint": "https://myapp.packcloud.local/order-created",'
    b' "secret": "q9NhjkjV9o"}'
)
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
REQUIRED: Final = "this field is required"
CODES: Final = "expected one of " + ", ".join(f"`{code}`" for code in EVENT_CODES)

OWN: Final[dict[str, Any]] = {
    "description": "The shop's order intake, naïve ✓",
    "headers": {"x-api-key": "abc", "authorization": "Basic eA=="},
    "rate_limit": 12.5,
    "timeout_seconds": 2.5,
    "retry_schedule": ["250ms", "5s", "90s", "30m", "2h", "1d"],
}
OWN_SHOWN: Final = {**OWN, "headers": {"x-api-key": "***", "authorization": "***"}}
UNSET: Final = {"description": "", "headers": {}, "rate_limit": 0, "timeout_seconds": 0, "retry_schedule": []}

CHANGES: Final[dict[str, Any]] = {
    "event_code": "order.shipped",
    "endpoint": "https://other.example/hook?a=b",
    "secret": "whsec_" + "QUJD" * 8,
    "enabled": False,
    **OWN,
}


async def test_documented_example(organization: Organization) -> None:
    """Accept the vendor's example request byte for byte, and return exactly the seven documented fields."""
    made = body_of(await organization.ask("POST", "/webhooks", content=DOCUMENTED, headers=JSON), 201)
    assert made == {
        "id": made["id"],
        "event_code": "order.created",
        "endpoint": "https://myapp.packcloud.local/order-created",
        "secret": "q9NhjkjV9o",
        "enabled": True,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made["id"])
    assert TIME.fullmatch(made["created_at"])
    assert body_of(await organization.ask("GET", f"/webhooks/{made['id']}"), 200) == made


@pytest.mark.parametrize("code", ["order.canceled", "order.created", "order.shipped"])
async def test_three_event_codes(organization: Organization, code: str) -> None:
    """Accept each documented event code, on create and update."""
    made = await organization.webhook(event_code=code)
    assert made["event_code"] == code
    other = await organization.webhook()
    changed = body_of(await organization.ask("PUT", f"/webhooks/{other['id']}", json={"event_code": code}), 200)
    assert changed["event_code"] == code


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("orders.created", "'orders.created' is not an event code; did you mean `order.created`?"),
        ("order.cancelled", "'order.cancelled' is not an event code; did you mean `order.canceled`?"),
        ("Order.Shipped", "'Order.Shipped' is not an event code; did you mean `order.shipped`?"),
        ("payment.received", CODES),
        ("", CODES),
    ],
)
async def test_event_code_near_miss(organization: Organization, code: str, message: str) -> None:
    """Refuse an unknown code and suggest the nearest one (the vendor's pages have such codes)."""
    answer = await organization.ask("POST", "/webhooks", json={**SUBSCRIPTION, "event_code": code})
    assert body_of(answer, 422)["errors"] == [{"field": "/event_code", "code": "invalid", "message": message}]


@pytest.mark.parametrize("field", CHANGES)
async def test_update_is_partial(organization: Organization, field: str) -> None:
    """Change what an update names and nothing else."""
    before = await organization.webhook()
    after = body_of(await organization.ask("PUT", f"/webhooks/{before['id']}", json={field: CHANGES[field]}), 200)
    shown = OWN_SHOWN.get(field, CHANGES[field])
    assert after == {**before, field: shown, "updated_at": after["updated_at"]}
    assert after["updated_at"] >= before["updated_at"]
    assert body_of(await organization.ask("GET", f"/webhooks/{before['id']}"), 200) == after


async def test_updates_at_once(organization: Organization) -> None:
    """Apply concurrent updates of different fields without losing any."""
    made = await organization.webhook()
    changes = [{field: CHANGES[field]} for field in ("event_code", "endpoint", "secret", "enabled", "description")]
    updates = (organization.ask("PUT", f"/webhooks/{made['id']}", json=change) for change in changes)
    assert [answer.status_code for answer in await asyncio.gather(*updates)] == [200] * 5
    after = body_of(await organization.ask("GET", f"/webhooks/{made['id']}"), 200)
    merged = {name: value for change in changes for name, value in change.items()}
    assert after == {**made, **merged, "updated_at": after["updated_at"]}


async def test_update_keeps_own_settings(organization: Organization) -> None:
    """Keep settings on an empty update and on an update of another field."""
    before = await organization.webhook(**OWN)
    nothing = body_of(await organization.ask("PUT", f"/webhooks/{before['id']}", json={}), 200)
    other = body_of(await organization.ask("PUT", f"/webhooks/{before['id']}", json={"secret": "another-secret"}), 200)
    assert nothing == {**before, "updated_at": nothing["updated_at"]}
    assert other == {**before, "secret": "another-secret", "updated_at": other["updated_at"]}


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_null_is_an_error(organization: Organization, method: str, field: str) -> None:
    """Refuse null for every field, on create and update; store nothing."""
    made = await organization.webhook()
    path, body = ("/webhooks", SUBSCRIPTION) if method == "POST" else (f"/webhooks/{made['id']}", {})
    problem = body_of(await organization.ask(method, path, json={**body, field: None}), 422)
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(f"/{field}", "invalid")]
    assert (await organization.contents())["/webhooks"] == [made]


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_unknown_fields_are_named(organization: Organization, method: str) -> None:
    """Refuse every unknown field, also read-only ones; escape its JSON Pointer."""
    made = await organization.webhook()
    path, body = ("/webhooks", SUBSCRIPTION) if method == "POST" else (f"/webhooks/{made['id']}", {})
    unknown = ["id", "created_at", "event_kinds", "a/b~c", "url"]
    problem = body_of(await organization.ask(method, path, json={**body, **dict.fromkeys(unknown, "x")}), 422)
    pointers = ["/id", "/created_at", "/event_kinds", "/a~1b~0c", "/url"]
    message = "there is no such field"
    expected = [{"field": pointer, "code": "unknown_field", "message": message} for pointer in pointers]
    assert sorted(problem["errors"], key=lambda error: pointers.index(error["field"])) == expected


async def test_secret_is_masked_for_readers(organization: Organization) -> None:
    """Show the secret to a key that may write, and its first four characters to one that may read."""
    made = await organization.webhook()
    reader, manager = await organization.key("webhooks:read"), await organization.key("webhooks:read", "webhooks:write")
    one = f"/webhooks/{made['id']}"
    masked = {**made, "secret": "q9Nh******"}
    assert body_of(await organization.ask("GET", one, reader), 200) == masked
    assert body_of(await organization.ask("GET", "/webhooks", reader), 200)["data"] == [masked]
    assert body_of(await organization.ask("GET", one, manager), 200) == made
    assert body_of(await organization.ask("GET", "/webhooks", manager), 200)["data"] == [made]


async def test_list_is_a_page(organization: Organization) -> None:
    """List oldest first, 25 per page by default, without links if there are no further pages."""
    made = [await organization.webhook() for _ in range(3)]
    page = body_of(await organization.ask("GET", "/webhooks"), 200)
    assert page == {"data": made, "prev": None, "next": None, "per_page": 25}


async def test_links_lead_through_the_list(organization: Organization, node_url: str) -> None:
    """Return absolute links that work as they are, and keep page size and filters."""
    made = [await organization.webhook(event_code="order.shipped") for _ in range(5)]
    await organization.webhook()
    params = {"per_page": 2, "event_code": "order.shipped", "enabled": "true"}
    pages = [body_of(await organization.ask("GET", "/webhooks", params=params), 200)]
    while pages[-1]["next"]:
        assert pages[-1]["next"].startswith(f"{node_url}{organization.path}/webhooks?")
        pages.append(body_of(await organization.api.get(pages[-1]["next"]), 200))
    assert [page["data"] for page in pages] == [made[:2], made[2:4], made[4:]]
    assert {page["per_page"] for page in pages} == {2}
    back = [body_of(await organization.api.get(pages[2]["prev"]), 200)]
    back.append(body_of(await organization.api.get(back[0]["prev"]), 200))
    assert [page["data"] for page in back] == [made[2:4], made[:2]]
    assert (pages[0]["prev"], back[1]["prev"]) == (None, None)
    assert body_of(await organization.api.get(back[1]["next"]), 200)["data"] == made[2:4]


async def test_list_filters(organization: Organization) -> None:
    """Filter by event code, by enabled, and by both."""
    on = await organization.webhook(event_code="order.created")
    off = await organization.webhook(event_code="order.created", enabled=False)
    shipped = await organization.webhook(event_code="order.shipped")
    table: list[tuple[dict[str, str], list[dict[str, Any]]]] = [
        ({"event_code": "order.created"}, [on, off]),
        ({"enabled": "true"}, [on, shipped]),
        ({"enabled": "false"}, [off]),
        ({"event_code": "order.shipped", "enabled": "false"}, []),
    ]
    for params, found in table:
        page = body_of(await organization.ask("GET", "/webhooks", params=params), 200)
        assert page == {"data": found, "prev": None, "next": None, "per_page": 25}


async def test_one_webhook_for_several_codes(organization: Organization) -> None:
    """By patterns, which its event code has to match; a client that knows nothing of them sees no difference."""
    plain = await organization.webhook(event_code="order.shipped")
    assert "event_codes" not in plain
    path = f"/webhooks/{plain['id']}"
    for wrong in ({"event_codes": ["order.created"]}, {"event_codes": ["webhook.*"], "event_code": "order.created"}):
        problem = body_of(await organization.ask("PUT", path, json=wrong), 422)
        assert [error["field"] for error in problem["errors"]] == ["/event_codes"]
    assert (await organization.publish("order.created"))["deliveries"] == 0
    changed = body_of(await organization.ask("PUT", path, json={"event_codes": ["order.*"]}), 200)
    assert changed["event_codes"] == ["order.*"]
    assert (await organization.publish("order.created"))["deliveries"] == 1
    changed = body_of(await organization.ask("PUT", path, json={"event_code": "order.canceled"}), 200)
    assert (changed["event_code"], changed["event_codes"]) == ("order.canceled", ["order.*"])
    alone = body_of(await organization.ask("PUT", path, json={"event_codes": ["order.canceled"]}), 200)
    assert alone["event_codes"] == ["order.canceled"]
    assert (await organization.publish("order.created"))["deliveries"] == 0


async def test_same_subscription_twice(organization: Organization) -> None:
    """Allow two webhooks for the same event and endpoint; each gets the event."""
    first, second = await organization.webhook(), await organization.webhook()
    assert first["id"] != second["id"]
    receipt = await organization.publish()
    found = await organization.deliveries(receipt["id"])
    assert receipt["deliveries"] == 2
    assert {delivery["webhook_id"] for delivery in found} == {first["id"], second["id"]}


async def test_delete(organization: Organization) -> None:
    """Respond with 204 without a body; afterwards the webhook is not found on any route."""
    deleted, kept = await organization.webhook(), await organization.webhook()
    path = f"/webhooks/{deleted['id']}"
    answer = await organization.ask("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, body in (("GET", None), ("PUT", {"enabled": True}), ("DELETE", None)):
        problem = body_of(await organization.ask(method, path, json=body), 404)
        assert problem["detail"] == f"no webhook '{deleted['id']}'"
    assert (await organization.contents())["/webhooks"] == [kept]
    assert (await organization.publish())["deliveries"] == 1


async def test_a_disabled_webhook_gets_no_event(organization: Organization) -> None:
    """Send nothing to a webhook that was created disabled until it is enabled."""
    made = await organization.webhook(enabled=False)
    assert (made["enabled"], (await organization.publish())["deliveries"]) == (False, 0)
    await organization.ask("PUT", f"/webhooks/{made['id']}", json={"enabled": True})
    assert (await organization.publish())["deliveries"] == 1


async def test_settings_are_shown(organization: Organization) -> None:
    """Show each setting as it was set, save header values; the empty value removes it."""
    made = await organization.webhook(**OWN)
    seven = {**SUBSCRIPTION, **{name: made[name] for name in ("id", "enabled", "created_at", "updated_at")}}
    assert made == {**seven, **OWN_SHOWN}
    assert body_of(await organization.ask("GET", f"/webhooks/{made['id']}"), 200) == made
    unset = body_of(await organization.ask("PUT", f"/webhooks/{made['id']}", json=UNSET), 200)
    assert unset == {**seven, "updated_at": unset["updated_at"]}


async def test_an_organization_has_a_limited_number_of_webhooks(tmp_path: Path) -> None:
    """Respond with 409 in words to one more; another organization, or a deletion, makes room."""
    with running_node(tmp_path, max_webhooks_per_organization="2") as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
            organization, another = await Organization.create(api), await Organization.create(api)
            first, _ = [await organization.webhook() for _ in range(2)]
            refused = await organization.ask("POST", "/webhooks", json=SUBSCRIPTION)
            await another.webhook()
            await organization.ask("DELETE", f"/webhooks/{first['id']}")
            await organization.webhook()
    assert (
        body_of(refused, 409)["detail"] == "an organization may have 2 webhooks, and this one has 2: delete one first"
    )
