"""Test ``POST …/rotate-secret``: the response, its rules, and an overlap that survives whatever happens meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from standardwebhooks import Webhook as Verifier

from api.organization import Json, Organization, body_of
from packhook.core.clock import DAY, HOUR, from_rfc3339
from packhook.testing import Received, Receiver, Status
from packhook.testing.signatures import is_signed
from support.api_node import OPERATOR_KEY, SENDING, bearer, eventually, running_node

NEW: Final = "whsec_cGFja2hvb2stZXhhbXBsZS1zZWNyZXQtMzItYnl0ZXM="
OLD: Final = "whsec_YW5vdGhlci1leGFtcGxlLXNlY3JldC0zMi1ieXRlcyEh"
ENDS: Final = "previous_secret_expires_at"


async def rotate(organization: Organization, webhook: Json, status: int = 200, **fields: Any) -> Json:  # noqa: ANN401 any field
    """Rotate a webhook's secret."""
    answer = await organization.ask("POST", f"/webhooks/{webhook['id']}/rotate-secret", json=fields)
    return body_of(answer, status)


def length(webhook: Json) -> int:
    """Return how long the overlap lasts after the rotation, in milliseconds."""
    return from_rfc3339(webhook[ENDS]) - from_rfc3339(webhook["updated_at"])


async def test_rotating(organization: Organization) -> None:
    """Return the webhook with a secret that packhook made, and the end of the overlap: 24 hours later by default."""
    webhook = await organization.webhook()
    rotated = await rotate(organization, webhook)
    assert rotated == {
        **webhook,
        "secret": rotated["secret"],
        "updated_at": rotated["updated_at"],
        ENDS: rotated[ENDS],
        "rotation_finish": "at_end",
    }
    assert rotated["secret"].startswith("whsec_")
    assert length(rotated) == DAY
    again = await rotate(organization, webhook, secret=NEW, overlap="48h", finish="when_proven")
    assert (again["secret"], length(again), again["rotation_finish"]) == (NEW, 2 * DAY, "when_proven")
    assert body_of(await organization.ask("GET", f"/webhooks/{webhook['id']}"), 200) == again


async def test_no_overlap(organization: Organization) -> None:
    """Replace the secret at once."""
    rotated = await rotate(organization, await organization.webhook(), secret=NEW, overlap="0s")
    assert rotated["secret"] == NEW
    assert ENDS not in rotated
    assert "rotation_finish" not in rotated


async def test_what_a_reader_sees(organization: Organization) -> None:
    """Mask the new secret; show the end of the overlap, and no previous secret to anybody."""
    webhook = await organization.webhook(secret=OLD)
    rotated = await rotate(organization, webhook, secret=NEW)
    seen = await organization.ask("GET", f"/webhooks/{webhook['id']}", await organization.key("webhooks:read"))
    assert body_of(seen, 200) == {**rotated, "secret": "whse******"}
    assert OLD.removeprefix("whsec_") not in seen.text + str(rotated)


async def test_an_updated_secret_ends_the_overlap(organization: Organization) -> None:
    """As the vendor's does: it is the only one."""
    webhook = await organization.webhook()
    await rotate(organization, webhook)
    answer = await organization.ask("PUT", f"/webhooks/{webhook['id']}", json={"secret": OLD})
    updated = body_of(answer, 200)
    assert updated == {**webhook, "secret": OLD, "updated_at": updated["updated_at"]}


async def test_too_many_live_secrets(organization: Organization) -> None:
    """Refuse a fourth secret while three are live, and change nothing."""
    webhook = await organization.webhook()
    await rotate(organization, webhook)
    before = await rotate(organization, webhook)
    refused = await rotate(organization, webhook, 409)
    assert refused["detail"].startswith("3 secrets are live already: rotate again when the oldest has expired")
    assert body_of(await organization.ask("GET", f"/webhooks/{webhook['id']}"), 200) == before


async def test_invalid_fields(organization: Organization) -> None:
    """Name everything that is wrong."""
    webhook = await organization.webhook()
    refused = await rotate(organization, webhook, 422, secret="short", overlap="8d", finish="soon", until="then")
    assert {error["field"]: error["message"] for error in refused["errors"]} == {
        "/secret": "expected 8 to 255 characters, got 5",
        "/overlap": "expected a duration from 0s to 7d",
        "/finish": "Input should be 'at_end' or 'when_proven'",
        "/until": "there is no such field",
    }
    wrong = await rotate(organization, webhook, 422, overlap="tomorrow")
    assert wrong["errors"][0]["message"].startswith("expected a duration such as")


async def test_audit(organization: Organization) -> None:
    """Write who rotated, until when and how; never a secret."""
    webhook = await organization.webhook()
    rotated = await rotate(organization, webhook, secret=NEW, overlap="1h", finish="when_proven")
    (entry, _) = body_of(await organization.ask("GET", "/audit", params={"object_id": webhook["id"]}), 200)["data"]
    assert (entry["action"], entry["actor"]) == ("webhook.secret_rotated", "operator")
    assert entry["changes"] == [
        {"field": "secret", "before": None, "after": None},
        {"field": ENDS, "before": None, "after": rotated[ENDS]},
        {"field": "finish", "before": None, "after": "when_proven"},
    ]
    assert length(rotated) == HOUR


def verify(request: Received) -> None:
    """Verify with the public library, as a receiver with the old and one with the new secret would."""
    for secret in (OLD, NEW):
        Verifier(secret).verify(request.body, request.headers)


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Run a node on the folder's database and yield the operator's client."""
    with running_node(folder, **SENDING, secret_proof_interval="1s") as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
            yield api


async def test_an_overlap_survives(tmp_path: Path) -> None:
    """Sign with both secrets after the master key was rotated, and after a restart; then prove the new secret.

    The receiver knows the old secret alone at first. Once it has switched, the overlap ends without a request for it.
    """
    async with Receiver() as receiver:
        receiver.answer = lambda request: Status(200 if is_signed([OLD], request.headers, request.body) else 401)
        async with node(tmp_path) as api:
            organization = await Organization.create(api)
            webhook = await organization.webhook(receiver.url, secret=OLD)
            await rotate(organization, webhook, secret=NEW, finish="when_proven")
            await organization.delivered((await organization.publish())["id"])
            assert body_of(await api.post("/v1/master-key/rotate"), 200)["reencrypted"] == 1
            await organization.delivered((await organization.publish())["id"])
        async with node(tmp_path) as api:
            organization = Organization(api, organization.id)
            await organization.delivered((await organization.publish())["id"])
            with_both = [request for request in receiver.received if " " in request.headers["webhook-signature"]]
            assert len(with_both) == 3
            for request in with_both:
                verify(request)
            receiver.answer = lambda request: Status(200 if is_signed([NEW], request.headers, request.body) else 401)
            path = f"/webhooks/{webhook['id']}"
            shown = await eventually(
                lambda: organization.ask("GET", path), lambda answer: ENDS not in body_of(answer, 200)
            )
            assert body_of(shown, 200)["secret"] == NEW
            await organization.delivered((await organization.publish())["id"])
    assert " " not in receiver.received[-1].headers["webhook-signature"]
