"""Test links to the portal: who may make which, how they are used up, and what ends them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from api.organization import Organization, body_of
from packhook.core.audit import Actor
from packhook.core.clock import HOUR, to_rfc3339
from packhook.core.errors import Unauthorized
from packhook.core.portal import Capability, PortalSession
from packhook.service import authentication
from packhook.service.authentication import Access, hash_of
from packhook.service.portal import Portal
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.testing import ManualClock
from support.api_node import OPERATOR_KEY, application

READS: Final = ("webhooks:read", "events:read")
HERE: Final = "192.0.2.7"


class Place:
    """Hold an application of this process, and an organization in it."""

    def __init__(self, organization: Organization, service: Service, store: Store, clock: ManualClock) -> None:
        self.organization = organization
        self.service = service
        self.store = store
        self.clock = clock

    async def link(self, key: str = "", **body: object) -> str:
        """Create a link over the API; return its token."""
        made = body_of(await self.organization.ask("POST", "/portal-sessions", key, json=body), 201)
        return token_of(made["url"])

    async def open(self, token: str) -> tuple[str, PortalSession]:
        """Open a link as the pages do."""
        return await self.service.portal.open(token, HERE, lambda name: Actor(name=name, source=HERE))

    async def session_of(self, cookie: str) -> PortalSession:
        """Return the session of a cookie, as the pages ask for it."""
        return await self.service.portal.session_of(cookie, HERE)


def token_of(url: str) -> str:
    """Return the token of a link."""
    return parse_qs(urlsplit(url).query)["token"][0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Place, ManualClock]]:
    """Run one application for all of these tests."""
    clock = ManualClock()
    folder: Path = tmp_path_factory.mktemp("node")
    async with application(folder, clock) as (api, service, store):
        yield Place(await Organization.create(api), service, store, clock), clock


@pytest_asyncio.fixture(loop_scope="module")
async def place(node: tuple[Place, ManualClock], monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return an organization of the test's own. A wrong token costs no time."""
    monkeypatch.setattr(authentication, "WRONG_KEY_SECONDS", 0.0)
    shared, clock = node
    return Place(await Organization.create(shared.organization.api), shared.service, shared.store, clock)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_link_becomes_a_session(place: Place) -> None:
    """It says until when, works once, and gives the organization and the capabilities; the trail has both steps."""
    answer = await place.organization.ask(
        "POST", "/portal-sessions", json={"capabilities": ["view", "replay"], "expires_in": "2h"}
    )
    made = body_of(answer, 201)
    ends = place.clock.now() + 2 * HOUR
    assert made == {"url": made["url"], "expires_at": to_rfc3339(ends)}
    assert made["url"].startswith(f"{place.organization.api.base_url}/portal/open?token=phl_")
    cookie, session = await place.open(token_of(made["url"]))
    assert (session.organization_id, session.expires_at) == (place.organization.id, ends)
    assert session.capabilities == (Capability.VIEW, Capability.REPLAY)
    assert [session.may(item) for item in Capability] == [True, False, True, False]
    assert await place.session_of(cookie) == session
    with pytest.raises(Unauthorized):
        await place.open(token_of(made["url"]))
    entries = body_of(await place.organization.ask("GET", "/audit"), 200)["data"]
    opened, created = entries[0], entries[1]
    assert (opened["action"], opened["actor"]) == ("portal_session.opened", session.id)
    assert (created["action"], created["actor"], created["object_id"]) == (
        "portal_session.created", "operator", session.id,
    )  # fmt: skip
    assert {change["field"]: change["after"] for change in created["changes"]} == {
        "capabilities": "view replay",
        "expires_at": to_rfc3339(ends),
    }


async def test_only_hashes_are_stored(place: Place) -> None:
    """Neither token is in the database file."""
    token = await place.link()
    cookie, _ = await place.open(token)
    stored = b"".join(path.read_bytes() for path in _files(place))
    assert hash_of(token) in stored
    assert hash_of(cookie) in stored
    assert token.encode() not in stored
    assert cookie.encode() not in stored


def _files(place: Place) -> list[Path]:
    (path,) = {Path(place.store._path)}  # type: ignore[attr-defined]
    return [file for file in path.parent.iterdir() if file.name.startswith(path.name)]


async def test_a_race_opens_it_once(place: Place) -> None:
    """Of many browsers one gets the session."""
    token = await place.link()
    results = await asyncio.gather(*(place.open(token) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(result, Unauthorized) for result in results) == 5


async def test_defaults(place: Place) -> None:
    """View for an hour."""
    _, session = await place.open(await place.link())
    assert (session.capabilities, session.expires_at) == ((Capability.VIEW,), place.clock.now() + HOUR)


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"capabilities": []}, "/capabilities", "expected view among them"),
        ({"capabilities": ["manage"]}, "/capabilities", "expected view among them"),
        ({"capabilities": ["view", "view"]}, "/capabilities", "expected each once"),
        ({"capabilities": ["view", "fly"]}, "/capabilities/1", "'view', 'manage', 'replay' or 'secrets'"),
        ({"expires_in": "4m"}, "/expires_in", "expected a duration from 5m to 24h"),
        ({"expires_in": "25h"}, "/expires_in", "expected a duration from 5m to 24h"),
        ({"expires_in": "soon"}, "/expires_in", "expected a duration such as"),
    ],
)
async def test_what_is_refused(place: Place, body: dict[str, object], field: str, says: str) -> None:
    """Name the field and what was expected."""
    problem = body_of(await place.organization.ask("POST", "/portal-sessions", json=body), 422)
    ((found, message),) = [(error["field"], error["message"]) for error in problem["errors"]]
    assert (found, says in message) == (field, True), message


@pytest.mark.parametrize(
    ("capability", "needs"),
    [
        ("view", "events:read"),
        ("manage", "webhooks:write"),
        ("replay", "webhooks:write"),
        ("secrets", "webhooks:write"),
    ],
)
async def test_a_key_gives_only_what_it_has(place: Place, capability: str, needs: str) -> None:
    """Refuse a capability that needs a scope which the key lacks."""
    body = {"capabilities": sorted({"view", capability}, reverse=True)}
    whole = await place.organization.key("webhooks:write", *READS)
    body_of(await place.organization.ask("POST", "/portal-sessions", whole, json=body), 201)
    lacking = await place.organization.key(*({"webhooks:write", *READS} - {needs}))
    problem = body_of(await place.organization.ask("POST", "/portal-sessions", lacking, json=body), 403)
    assert f"this API key lacks the scope {needs}" in problem["detail"]


async def test_a_revoked_key_ends_its_links_and_sessions(place: Place) -> None:
    """Those of other keys go on."""
    key = await place.organization.key("webhooks:write", *READS)
    unopened, (cookie, _) = await place.link(key), await place.open(await place.link(key))
    other, _ = await place.open(await place.link())
    (listed,) = body_of(await place.organization.ask("GET", "/api-keys"), 200)["data"]
    assert (await place.organization.ask("DELETE", f"/api-keys/{listed['id']}")).status_code == 204
    for ended in (place.session_of(cookie), place.open(unopened)):
        with pytest.raises(Unauthorized):
            await ended
    assert (await place.session_of(other)).organization_id == place.organization.id


async def test_another_operator_key_ends_those_of_the_one_before(place: Place) -> None:
    """A node with another operator key knows none of them; sessions of API keys go on."""
    key = await place.organization.key("webhooks:write", *READS)
    own, _ = await place.open(await place.link())
    unopened = await place.link()
    of_key, _ = await place.open(await place.link(key))
    settings = Settings(operator_key="another-operator-key")
    later = Portal(place.store, authentication.Access(place.store, settings, place.clock), place.clock)
    for ended in (later.session_of(own, HERE), later.open(unopened, HERE, lambda name: Actor(name=name, source=HERE))):
        with pytest.raises(Unauthorized):
            await ended
    assert (await later.session_of(of_key, HERE)).api_key_id


async def test_it_expires(place: Place) -> None:
    """Link and session, at the same instant."""
    unopened = await place.link(expires_in="5m")
    cookie, session = await place.open(await place.link(expires_in="5m"))
    place.clock.advance(session.expires_at - place.clock.now())
    for ended in (place.session_of(cookie), place.open(unopened)):
        with pytest.raises(Unauthorized):
            await ended


async def test_a_session_that_was_just_seen_ends_at_once(place: Place) -> None:
    """By its time, and by being ended on another node."""
    first, session = await place.open(await place.link(expires_in="5m"))
    second, _ = await place.open(await place.link())
    assert await place.session_of(first) == session
    await place.session_of(second)
    there = Portal(place.store, Access(place.store, Settings(operator_key=OPERATOR_KEY), place.clock), place.clock)
    await there.end(second)
    place.clock.advance(session.expires_at - place.clock.now())
    for cookie in (first, second):
        with pytest.raises(Unauthorized):
            await place.session_of(cookie)


async def test_a_foreign_or_wrong_token_is_nothing(place: Place) -> None:
    """A link is no session, a session no link, and a stranger's text neither."""
    link = await place.link()
    cookie, _ = await place.open(await place.link())
    for token in (link, "", "phs_", "phs_wrong", "é" * 5_000):
        with pytest.raises(Unauthorized):
            await place.session_of(token)
    for token in (cookie, "", "phl_wrong"):
        with pytest.raises(Unauthorized):
            await place.open(token)
