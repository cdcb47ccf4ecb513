"""Test sessions: the operator key alone begins one, the cookie is hard to steal, forms come from its pages alone."""

from http.cookies import SimpleCookie
from typing import Final

import httpx
import pytest

from packhook.core.audit import Action
from packhook.core.operator_session import LASTS
from packhook.service.authentication import Access
from packhook.service.sessions import LINK_LASTS, Sessions, SignInLink
from packhook.settings import Settings
from packhook.store.base import AuditFilter, PageRequest
from packhook.testing import ManualClock
from packhook.web.app import sign_in_address
from support.api_node import OPERATOR_KEY
from web.conftest import Browser
from web.sample import BY
from web.served import Served

COOKIE: Final = "packhook_session"


def _cookie(response: httpx.Response) -> SimpleCookie:
    return SimpleCookie(response.headers["set-cookie"])


def test_the_cookie_is_for_this_site_alone(stranger: Browser) -> None:
    """Keep it from scripts, from other sites' forms, and from the API's paths."""
    cookie = _cookie(stranger.sign_in())[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "lax", "/dashboard")
    assert cookie["secure"] == ""  # by http on loopback
    assert int(cookie["max-age"]) * 1_000 == LASTS
    assert OPERATOR_KEY not in cookie.value


@pytest.mark.parametrize("key", ["", "wrong", "phk_" + "x" * 43])
def test_a_wrong_key_begins_no_session(stranger: Browser, key: str) -> None:
    """Say so, and let the reader try again."""
    response = stranger.sign_in(key)
    assert response.status_code == 403
    assert "not the operator key" in response.text
    assert stranger.client.get("/dashboard").status_code == 303


def test_a_sign_in_link_works_once(stranger: Browser, served: Served) -> None:
    """Begin a session as the form does; a look ahead does not use it up, and a second browser gets the form."""
    link = sign_in_address(served.service, "")
    assert stranger.client.head(link).status_code == 403
    assert stranger.client.get(link, headers={"sec-purpose": "prefetch"}).status_code == 403
    response = stranger.client.get(link)
    cookie = _cookie(response)[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "lax", "/dashboard")
    assert "Nodes" in stranger.follow(response).text()
    for used in (link, "/dashboard/open", "/dashboard/open?token=wrong"):
        other = httpx.get(f"{served.url}{used}")
        assert (other.status_code, "Sign in with the operator key" in other.text) == (403, True)
        of_form = _cookie(other)[COOKIE].value
        assert httpx.get(f"{served.url}/dashboard", cookies={COOKIE: of_form}).status_code == 303


def test_a_sign_in_link_ends_by_time_and_by_the_next_one() -> None:
    """Keep one, for ten minutes."""
    clock = ManualClock(1_000)
    link = SignInLink(clock)
    assert not link.use("")
    first, second = link.create(), link.create()
    clock.advance(LINK_LASTS - 1)
    assert (link.use(first), link.use(second), link.use(second)) == (False, True, False)
    late = link.create()
    clock.advance(LINK_LASTS)
    assert not link.use(late)


def test_a_key_of_an_organization_is_not_enough(stranger: Browser, served: Served) -> None:
    """Name the difference."""
    key = httpx.post(
        f"{served.url}/v1/organizations/acme/api-keys",
        json={"scopes": ["webhooks:write"]},
        headers={"authorization": f"Bearer {OPERATOR_KEY}"},
    ).json()["key"]
    response = stranger.sign_in(key)
    assert (response.status_code, "needs the operator key" in response.text) == (403, True)


def test_a_form_without_the_token_of_its_session_is_refused(browser: Browser, stranger: Browser) -> None:
    """Refuse a token of another session, too, and a form that another site sends."""
    page = browser.read("/dashboard/organizations")
    fields = {**page.form("/dashboard/organizations"), "id": "forged"}
    stranger.sign_in()
    foreign = stranger.read("/dashboard/organizations").form("/dashboard/organizations")["token"]

    def send(headers: dict[str, str] | None = None, **changes: str) -> int:
        found = browser.client.post("/dashboard/organizations", data={**fields, **changes}, headers=headers)
        return found.status_code

    assert [send(token=""), send(token="x"), send(token=str(foreign))] == [403] * 3
    assert [send({"sec-fetch-site": site}) for site in ("cross-site", "same-site")] == [403] * 2
    assert browser.client.post("/dashboard/organizations", data={"id": "forged"}).status_code == 403
    assert browser.client.post("/dashboard/organizations", json=fields).status_code == 415
    assert "forged" not in browser.read("/dashboard/organizations").text()


def test_a_form_of_an_ended_session_says_what_to_do(browser: Browser) -> None:
    """Change nothing, and lead to the page to sign in."""
    page = browser.read("/dashboard/organizations")
    browser.client.cookies.clear()
    response = browser.send(page, "/dashboard/organizations", id="late")
    assert response.status_code == 403
    assert "/dashboard/sign-in" in response.text


@pytest.mark.parametrize(
    "following", ["https://evil.example/", "//evil.example", "/dashboard.evil.example", "/docs", "/dashboard/\\x", ""]
)
def test_signing_in_leads_nowhere_else(stranger: Browser, following: str) -> None:
    """Follow addresses of the dashboard alone."""
    page = stranger.read("/dashboard/sign-in")
    response = stranger.send(page, "/dashboard/sign-in", key=OPERATOR_KEY, next=following)
    assert (response.status_code, response.headers["location"]) == (303, "/dashboard")


def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(browser: Browser, served: Served) -> None:
    """Refuse a copied cookie at once, on another node too; the audit trail has both the begin and the end."""
    copied = browser.client.cookies[COOKIE]
    page = browser.read("/dashboard")
    signed_out = browser.follow(browser.send(page, "/dashboard/sign-out"))
    assert "You are signed out." in signed_out.text()
    assert browser.client.get("/dashboard").status_code == 303
    thief = httpx.Client(base_url=served.url, cookies={COOKIE: copied})
    with thief:
        assert thief.get("/dashboard").status_code == 303
        assert thief.post("/dashboard/organizations", data=page.form("/dashboard/sign-out")).status_code == 403
    entries = served.run(served.store.list_audit(PageRequest(limit=2), AuditFilter())).items
    assert [entry.action for entry in entries] == [Action.OPERATOR_SESSION_ENDED, Action.OPERATOR_SESSION_OPENED]
    assert entries[0].object_id == entries[1].object_id
    assert (entries[1].by.name, entries[1].reason) == ("operator", "with the operator key")


def test_a_sign_in_link_is_in_the_audit_trail(stranger: Browser, served: Served) -> None:
    """Say from where it was opened."""
    stranger.client.get(sign_in_address(served.service, ""), headers={"user-agent": "a browser"})
    (entry,) = served.run(served.store.list_audit(PageRequest(limit=1), AuditFilter())).items
    assert (entry.action, entry.reason) == (Action.OPERATOR_SESSION_OPENED, "with a sign-in link")
    assert (entry.by.source, entry.by.user_agent, entry.organization_id) == ("127.0.0.1", "a browser", "")


async def test_a_session_ends_on_every_node_with_its_time_its_end_and_its_operator_key(served: Served) -> None:
    """Recognize only what a node of this instance has begun, for its present operator key, and not for ever."""
    settings, clock = Settings(operator_key=OPERATOR_KEY), served.clock
    here = served.service.sessions
    there = Sessions(served.store, Access(served.store, settings, clock), clock)
    session = await served.ask(here.sign_in(BY, "here"))
    for node in (here, there, there):
        assert await served.ask(node.session_of(session.token, "")) == session
    unknown = ("", "x", session.token[:-2], session.token + "A" * 2_000, "phd_\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert [await served.ask(there.session_of(text, "")) for text in unknown] == [None] * 5
    clock.advance(LASTS)
    assert await served.ask(there.session_of(session.token, "")) is None
    clock.advance(-LASTS)
    others = Access(served.store, Settings(operator_key="another-operator-key"), clock)
    assert await served.ask(Sessions(served.store, others, clock).session_of(session.token, "")) is None
    assert await served.ask(there.session_of(session.token, "")) == session
    await served.ask(here.end(session, BY))
    assert [await served.ask(node.session_of(session.token, "")) for node in (here, there)] == [None] * 2
