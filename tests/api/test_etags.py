"""Test entity tags: two editors of a webhook cannot overwrite each other, and a reader gets 304."""

import asyncio
from typing import Any, Final

import pytest

from api.organization import Json, Organization, body_of

PATH: Final = "/webhooks/{id}"


async def tag_of(organization: Organization, webhook: Json) -> str:
    """Return the present tag."""
    response = await organization.ask("GET", PATH.format(**webhook))
    body_of(response, 200)
    return response.headers["etag"]


async def put(organization: Organization, webhook: Json, tag: str, status: int, **fields: Any) -> Any:  # noqa: ANN401 as any field
    """Change a webhook if the tag matches, and return the response."""
    response = await organization.ask("PUT", PATH.format(**webhook), json=fields, headers={"if-match": tag})
    body_of(response, status)
    return response


async def test_each_response_with_a_webhook_has_a_tag(organization: Organization) -> None:
    """It is strong; the same for the same body, and another after each change."""
    created = await organization.ask(
        "POST",
        "/webhooks",
        json={"event_code": "order.created", "endpoint": "https://a.example", "secret": "q9NhjkjV9o"},
    )
    webhook = body_of(created, 201)
    path = PATH.format(**webhook)
    changed = await organization.ask("PUT", path, json={"description": "b"})
    rotated = await organization.ask("POST", f"{path}/rotate-secret", json={})
    tags = [response.headers["etag"] for response in (created, changed, rotated)]
    assert len(set(tags)) == 3
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)
    assert await tag_of(organization, webhook) == tags[2]


async def test_of_two_editors_one_is_refused(organization: Organization) -> None:
    """Both read the same version: the second gets 412 and changes nothing, until it has read again."""
    webhook = await organization.webhook()
    tag = await tag_of(organization, webhook)
    first = await put(organization, webhook, tag, 200, description="first")
    refused = await put(organization, webhook, tag, 412, description="second", enabled=False)
    assert refused.json()["type"] == "/errors/precondition_failed"
    assert await tag_of(organization, webhook) == first.headers["etag"]
    second = await put(organization, webhook, first.headers["etag"], 200, description="second")
    assert (second.json()["description"], second.json()["enabled"]) == ("second", True)


async def test_at_the_same_time(organization: Organization) -> None:
    """Of ten changes with one tag one is made."""
    webhook = await organization.webhook()
    tag = await tag_of(organization, webhook)
    responses = await asyncio.gather(
        *(
            organization.ask("PUT", PATH.format(**webhook), json={"description": str(n)}, headers={"if-match": tag})
            for n in range(10)
        )
    )
    assert sorted(response.status_code for response in responses) == [200, *[412] * 9]


async def test_deleting_and_rotating(organization: Organization) -> None:
    """A stale tag is 412 and leaves everything; the present one does it."""
    webhook = await organization.webhook()
    path, stale = PATH.format(**webhook), await tag_of(organization, webhook)
    body_of(await organization.ask("PUT", path, json={"paused": True}), 200)
    for method, of in (("DELETE", path), ("POST", f"{path}/rotate-secret")):
        body: Json | None = None if method == "DELETE" else {}
        body_of(await organization.ask(method, of, headers={"if-match": stale}, json=body), 412)
    shown = body_of(await organization.ask("GET", path), 200)
    assert shown["secret"] == webhook["secret"]
    present = await tag_of(organization, webhook)
    assert (await organization.ask("DELETE", path, headers={"if-match": present})).status_code == 204
    body_of(await organization.ask("DELETE", path, headers={"if-match": present}), 404)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("*", 200),
        ('"x", {tag}', 200),
        ('{tag},"0"', 200),
        ("W/{tag}", 412),
        ('"x"', 412),
        ('"0-{tag}', 422),
        ("1", 422),
        ("", 422),
    ],
)
async def test_lists_of_tags(organization: Organization, given: str, status: int) -> None:
    """One of them has to match, strongly; what is no list of tags is said to be none."""
    webhook = await organization.webhook()
    tag = await tag_of(organization, webhook)
    response = await put(organization, webhook, given.format(tag=tag), status, description="b")
    if status == 422:
        assert [error["field"] for error in response.json()["errors"]] == ["If-Match"]


async def test_a_reader_gets_304(organization: Organization) -> None:
    """While nothing has changed; with the tag and without a body. A key that may only read has a tag of its own."""
    webhook = await organization.webhook()
    path, tag = PATH.format(**webhook), await tag_of(organization, webhook)
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        same = await organization.ask("GET", path, headers={"if-none-match": given})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    key = await organization.key("webhooks:read")
    body_of(await organization.ask("GET", path, key, headers={"if-none-match": tag}), 200)
    body_of(await organization.ask("PUT", path, json={"description": "b"}), 200)
    body_of(await organization.ask("GET", path, headers={"if-none-match": tag}), 200)
