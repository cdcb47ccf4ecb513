"""Test the rules of webhook fields: each invalid value is refused at its pointer, and nothing is stored."""

from typing import Final

import pytest

from api.organization import SUBSCRIPTION, Organization, body_of

ENDPOINTS: Final = {
    "https://example.com": "https://example.com/",
    "https://EXAMPLE.com:443/a%20b?c=d&e": "https://example.com/a%20b?c=d&e",
    "https://bücher.example/ü": "https://xn--bcher-kva.example/%C3%BC",
    "https://192.0.2.1:8443/": "https://192.0.2.1:8443/",
    "https://[2001:DB8::1]/": "https://[2001:db8::1]/",
    "http://127.0.0.1:8080/a": "http://127.0.0.1:8080/a",
}
SECRETS: Final = ("8letters", "!" * 255, "whsec_" + "QUJD" * 8, "whsec_" + "QUJD" * 21, "~!@#$%^&*()_+")
WRONG: Final[dict[str, tuple[object, ...]]] = {
    "event_code": (1, True, ["order.created"]),
    "endpoint": (
        "",
        "example.com/a",
        "ftp://example.com/",
        "https://",
        "https://user:word@example.com/",
        "https://example.com/#part",
        "https://example.com/a b",
        "https://example.com/\n",
        "https://example.com\\@other.example/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://127.1/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com/" + "a" * 2048,
        17,
    ),
    "secret": (
        "7letter",
        "!" * 256,
        "with a space",
        "naïve-secret",
        "line\nbreak",
        "whsec_QUJD",
        "whsec_" + "QUJD" * 22,
        "whsec_????????",
        "whsec_",
        12345678,
    ),
    "enabled": ("true", 1, 0),
    "description": (1, "a" * 501),
    "headers": (
        [],
        "x: y",
        {"host": "other.example"},
        {"Content-Length": "1"},
        {"webhook-id": "mine"},
        {"user-agent": "mine"},
        {"transfer-encoding": "chunked"},
        {"x y": "z"},
        {"": "z"},
        {"x": 1},
        {"x": "a\r\nb: c"},
        {"x": "\0"},
        {"x": "ü"},
        {"x": "1", "X": "2"},
        {"x": "a" * 4097},
        {f"x-{number}": "" for number in range(21)},
    ),
    "rate_limit": (5e-324, 1e-310, -1, 10_001, "5", True, [1]),
    "timeout_seconds": (0.5, 30.5, -1, "5s", True),
    "event_codes": (
        "order.*",
        [1],
        [""],
        ["orders.*"],
        ["order.create"],
        ["**"],
        ["order*"],
        ["*.created"],
        ["order.*"] * 51,
        [],
        None,
        ["order.*", "order.*"],
    ),
    "filter": (1, [], "data.", "foo == 1", "map(data, 1)", "true" + " || true" * 200),
    "payload": ("", "Thin", 1, ["thin"]),
    "retry_schedule": ("5s", ["5"], ["-5s"], ["8d"], ["1s"] * 21, ["٣s"], ["9" * 400 + "s"], [5]),
}


@pytest.mark.parametrize(("given", "stored"), ENDPOINTS.items())
async def test_endpoint_is_rebuilt(organization: Organization, given: str, stored: str) -> None:
    """Store an endpoint in normalized form; accept private names and addresses."""
    assert (await organization.webhook(given))["endpoint"] == stored


@pytest.mark.parametrize("secret", SECRETS)
async def test_secrets_that_are_accepted(organization: Organization, secret: str) -> None:
    """Accept 8 to 255 printable ASCII characters; after ``whsec_`` the base64 of 24 to 64 bytes."""
    assert (await organization.webhook(secret=secret))["secret"] == secret


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in WRONG.items() for value in values],
    ids=lambda value: str(value)[:30],
)
async def test_wrong_value(organization: Organization, method: str, field: str, value: object) -> None:
    """Refuse on create and update, at the field's pointer, in words; store nothing."""
    made = await organization.webhook()
    path, body = ("/webhooks", SUBSCRIPTION) if method == "POST" else (f"/webhooks/{made['id']}", {})
    problem = body_of(await organization.ask(method, path, json={**body, field: value}), 422)
    assert {error["field"].split("/")[1] for error in problem["errors"]} == {field}
    assert all(error["code"] == "invalid" and error["message"] for error in problem["errors"])
    assert (await organization.contents())["/webhooks"] == [made]


async def test_all_wrong_fields_at_once(organization: Organization) -> None:
    """Report missing, invalid and unknown fields in one response."""
    body = {"event_code": "orders.created", "secret": "short", "enabled": "yes", "colour": "red"}
    problem = body_of(await organization.ask("POST", "/webhooks", json=body), 422)
    assert sorted((error["field"], error["code"]) for error in problem["errors"]) == [
        ("/colour", "unknown_field"),
        ("/enabled", "invalid"),
        ("/endpoint", "missing"),
        ("/event_code", "invalid"),
        ("/secret", "invalid"),
    ]
