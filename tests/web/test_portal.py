"""Test the portal: a link becomes a session, which sees one organization and does what its capabilities say."""

from collections.abc import Iterator
from contextlib import closing
from http.cookies import SimpleCookie
from typing import Final

import httpx
import pytest

from packhook.core.portal import Capability
from packhook.settings import Settings
from packhook.web.look import Look
from packhook.web.routes import ROUTES
from packhook.web.visitors import GRANTED_BY, PORTAL, PortalVisitors
from support.api_node import OPERATOR_KEY, bearer
from web.conftest import Browser
from web.sample import EMPTY, HEADER_VALUE, ORGANIZATION, SECRET
from web.served import Served

HOME: Final = "/portal/organizations/northwind/deliveries"
PAGES: Final = (
    "/portal/organizations/northwind",
    "/portal/organizations/northwind/webhooks/{shop.failing.id}",
    "/portal/organizations/northwind/webhooks/{shop.hostile.id}",
    "/portal/organizations/northwind/replays",
    HOME,
    f"{HOME}?status=pending",
    HOME + "/{shop.failed_delivery}",
    HOME + "/{shop.hostile_delivery}",
    "/portal/organizations/northwind/events",
    "/portal/organizations/northwind/events/{shop.event}",
    "/portal/organizations/northwind/timeline?subject={shop.order}",
    "/portal/organizations/northwind/search?q=hooks",
    "/portal/organizations/northwind/replays/{shop.replay}",
)
"""Pages that every session of the portal sees."""
CHANGING: Final[dict[Capability, tuple[str, ...]]] = {
    Capability.MANAGE: ("new-webhook", "webhooks/{id}/edit", "webhooks/{id}/delete"),
    Capability.REPLAY: ("webhooks/{id}/replay",),
    Capability.SECRETS: ("webhooks/{id}/rotate",),
}
"""Pages that a capability opens."""
_OPERATORS: Final = {
    *("api-keys", "api-key-revoke", "audit", "organization-delete"),
    *("refused", "refused-retry", "refused-discard"),
}
"""Pages about an organization that the portal does not have."""


def link_to(served: Served, *capabilities: str, organization: str = ORGANIZATION) -> str:
    """Make a link over the API; return its path."""
    made = httpx.post(
        f"{served.url}/v1/organizations/{organization}/portal-sessions",
        json={"capabilities": ["view", *capabilities]},
        headers=bearer(OPERATOR_KEY),
        timeout=30,
    )
    assert made.status_code == 201, made.text
    return str(made.json()["url"]).removeprefix(served.url)


def opened(served: Served, *capabilities: str, organization: str = ORGANIZATION) -> Browser:
    """Return a browser with a session of the portal."""
    browser = Browser(served)
    response = browser.client.get(link_to(served, *capabilities, organization=organization))
    assert (response.status_code, response.headers["location"]) == (303, "/portal")
    return browser


@pytest.fixture(scope="module")
def viewer(served: Served) -> Iterator[Browser]:
    """Yield a browser that may only look."""
    with closing((browser := opened(served)).client):
        yield browser


@pytest.fixture(scope="module")
def owner(served: Served) -> Iterator[Browser]:
    """Yield a browser with every capability."""
    with closing((browser := opened(served, "manage", "replay", "secrets")).client):
        yield browser


def test_a_link_opens_once_and_leads_to_the_organization(served: Served, stranger: Browser) -> None:
    """Use it up; a second browser learns that it has ended, and gets no cookie."""
    link = link_to(served)
    response = stranger.client.get(link)
    cookie = SimpleCookie(response.headers["set-cookie"])["packhook_portal"]
    assert (cookie["httponly"], cookie["path"], cookie["samesite"], cookie["secure"]) == (True, "/portal", "Lax", "")
    assert 0 < int(cookie["max-age"]) <= 3_600
    page = stranger.follow(stranger.client.get("/portal"))
    assert "Northwind" in page.html
    other = httpx.get(f"{served.url}{link}")
    assert (other.status_code, "set-cookie" in other.headers) == (401, False)
    assert "has ended" in other.text


def test_a_look_ahead_does_not_use_a_link_up(served: Served, stranger: Browser) -> None:
    """Refuse HEAD and prefetches; then a person opens it."""
    link = link_to(served)
    assert stranger.client.head(link).status_code == 403
    assert stranger.client.get(link, headers={"sec-purpose": "prefetch;prerender"}).status_code == 403
    assert stranger.client.get(link).status_code == 303


def test_without_a_session_there_is_nothing(served: Served, stranger: Browser) -> None:
    """Say that the session has ended, whether there is a page or not; the operator's cookie is no session here."""
    for path in ("", "/organizations/northwind/deliveries", "/organizations/nowhere/deliveries", "/nothing"):
        assert stranger.client.get(f"/portal{path}").status_code == 401
    assert stranger.client.get("/portal/open?token=phl_wrong").status_code == 401
    stranger.sign_in()
    assert stranger.client.get("/portal").status_code == 401
    with closing(opened(served).client) as client:
        assert client.get("/dashboard").status_code == 303
        assert client.get("/v1/organizations").status_code == 401


@pytest.mark.parametrize("name", PAGES)
def test_a_viewer_sees_the_pages_and_nothing_to_change(viewer: Browser, served: Served, name: str) -> None:
    """Every link leads somewhere, no form but the end of the session, no secret, no header's value, no audit trail."""
    page = viewer.read(name.format(shop=served.shop))
    for link in {element.attributes["href"] for element in page.all("a") if "href" in element.attributes}:
        if link.startswith("/"):
            assert viewer.client.get(link, follow_redirects=True).status_code == 200, link
    assert {form.attributes["action"] for form in page.all("form") if form.attributes.get("method") == "post"} == {
        "/portal/sign-out"
    }
    assert [text for text in (SECRET, HEADER_VALUE, "192.0.2.7", "/dashboard") if text in page.html] == []


def test_without_its_capability_nothing_is_done(served: Served, viewer: Browser, owner: Browser) -> None:
    """A viewer's own token does not help; who may retry has the button."""
    path = f"{HOME}/{served.shop.failed_delivery}"
    token = viewer.read(path).form("/portal/sign-out")["token"]
    refused = viewer.client.post(f"{path}/retry", data={"token": token})
    assert (refused.status_code, "lacks the capability replay" in refused.text) == (403, True)
    assert owner.read(path).form(f"{path}/retry")["token"] != token


@pytest.mark.parametrize(("capability", "pages"), CHANGING.items(), ids=str)
def test_each_capability_opens_its_pages(
    served: Served, viewer: Browser, capability: Capability, pages: tuple[str, ...]
) -> None:
    """With it alone they are there; without it they are refused, also to be sent to."""
    with closing(opened(served, capability.value).client) as client:
        for page in pages:
            path = f"/portal/organizations/northwind/{page.format(id=served.shop.well.id)}"
            assert client.get(path).status_code == 200, path
            for refused in (viewer.client.get(path), viewer.client.post(path, data={})):
                assert refused.status_code == 403
                assert f"lacks the capability {capability}" in refused.text


def test_what_only_sends_is_refused_too(served: Served, viewer: Browser) -> None:
    """A viewer's own token does not help."""
    webhook = f"/portal/organizations/northwind/webhooks/{served.shop.well.id}"
    token = viewer.read(webhook).form("/portal/sign-out")["token"]
    for action in ("change", "test", "diagnose", "secret", "delete", "edit", "rotate", "replay"):
        answer = viewer.client.post(f"{webhook}/{action}", data={"token": token, "to": "pause"})
        assert answer.status_code == 403, action


def test_another_organization_is_not_there(served: Served, owner: Browser) -> None:
    """Respond with 404 to every page of it, as to one that does not exist; ids of it are unknown here."""
    delivery = served.shop.failed_delivery
    with closing((foreign := opened(served, "manage", "replay", "secrets", organization=EMPTY)).client):
        own = f"/portal/organizations/{EMPTY}/deliveries"
        token = foreign.read(own).form("/portal/sign-out")["token"]
        for base in (HOME, own):
            for page in (f"/{delivery}", f"/{delivery}/response"):
                assert foreign.client.get(base + page).status_code == 404, base + page
            assert foreign.client.post(f"{base}/{delivery}/retry", data={"token": token}).status_code == 404
        assert foreign.client.get(HOME).status_code == 404
        for page in ("", "/edit", "/rotate", "/replay", "/delete"):
            path = f"/portal/organizations/{EMPTY}/webhooks/{served.shop.well.id}{page}"
            assert foreign.client.get(path).status_code == 404, path
        for name in (delivery, served.shop.event, served.shop.order, served.shop.well.id):
            found = foreign.client.get(f"/portal/organizations/{EMPTY}/search", params={"q": name})
            assert (found.status_code, served.shop.well.endpoint in found.text) == (200, False)
    for path in ("/organizations/nowhere/deliveries", "/organizations/northwind/delete", "/organizations", "/sign-in"):
        assert owner.client.get(f"/portal{path}").status_code == 404, path


def test_what_is_done_is_audited_by_the_session(served: Served, owner: Browser) -> None:
    """Send a delivery again; the audit trail names the session."""
    path = f"{HOME}/{served.shop.hostile_delivery}"
    owner.follow(owner.send(owner.read(path), f"{path}/retry"))
    (entry, *_) = httpx.get(
        f"{served.url}/v1/audit", params={"object_id": served.shop.hostile_delivery}, headers=bearer(OPERATOR_KEY)
    ).json()["data"]
    assert (entry["action"], entry["actor"][:4]) == ("delivery.retried", "pts_")


def test_an_owner_changes_a_webhook(served: Served, owner: Browser) -> None:
    """Create, pause, show the secret, delete; the audit trail names the session."""
    base = "/portal/organizations/northwind"
    form = owner.read(f"{base}/new-webhook")
    made = owner.send(
        form, f"{base}/new-webhook", endpoint="https://portal.example/hook", secret="a-secret-of-theirs", enabled="on"
    )
    page = owner.follow(made)
    webhook = made.headers["location"].partition("?")[0]
    assert "a-secret-of-theirs" not in page.html
    owner.follow(owner.send(page, f"{webhook}/change"))
    assert "a-secret-of-theirs" in owner.send(page, f"{webhook}/secret").text
    owner.follow(owner.send(owner.read(f"{webhook}/delete"), f"{webhook}/delete"))
    entries = httpx.get(
        f"{served.url}/v1/audit", params={"object_id": webhook.rpartition("/")[2]}, headers=bearer(OPERATOR_KEY)
    ).json()["data"]
    assert {entry["actor"][:4] for entry in entries} == {"pts_"}
    assert len({entry["actor"] for entry in entries}) == 1


def test_a_form_of_another_session_is_refused(served: Served, owner: Browser, viewer: Browser) -> None:
    """A token belongs to its cookie; a form that another site sends is refused, too."""
    path = f"{HOME}/{served.shop.failed_delivery}"
    own = owner.read(path).form(f"{path}/retry")
    foreign = viewer.read(path).form("/portal/sign-out")["token"]
    assert owner.client.post(f"{path}/retry", data={**own, "token": foreign}).status_code == 403
    cross = owner.client.post(f"{path}/retry", data=own, headers={"sec-fetch-site": "cross-site"})
    assert cross.status_code == 403


def test_a_session_can_be_ended(served: Served) -> None:
    """In this browser, and for a copy of its cookie."""
    with closing((browser := opened(served)).client):
        copy = dict(browser.client.cookies)
        page = browser.read(HOME)
        ended = browser.send(page, "/portal/sign-out")
    assert (ended.status_code, "has ended" in ended.text) == (200, True)
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert httpx.get(f"{served.url}/portal", cookies=copy).status_code == 401


def test_every_page_of_an_organization_is_granted_or_left_out_on_purpose() -> None:
    """A new page is in the table, with its capability, or not in the portal."""
    of_an_organization = {page.name for page in ROUTES if page.path.startswith("/organizations/{organizationId}")}
    assert set(GRANTED_BY) | _OPERATORS == of_an_organization
    assert not set(GRANTED_BY) & _OPERATORS
    assert [name for name in GRANTED_BY if name not in PORTAL] == []


def test_frames_are_refused_unless_named(served: Served, viewer: Browser) -> None:
    """The policy names the origins of the setting, by default none; it allows nothing inline, and one logo."""
    headers = viewer.client.get(HOME).headers
    policy = headers["content-security-policy"]
    assert "x-frame-options" not in headers
    assert viewer.client.get("/dashboard/sign-in").headers["x-frame-options"] == "DENY"
    assert "frame-ancestors http://localhost:*" in policy
    assert "unsafe" not in policy
    plain = PortalVisitors(served.service, Settings())
    assert "img-src 'self'; " in plain.policy
    assert "frame-ancestors 'none'" in plain.policy
    shown = PortalVisitors(served.service, Settings(portal_logo_url="https://shop.example/logo.svg"))
    assert "img-src 'self' https://shop.example; " in shown.policy


@pytest.mark.parametrize(
    ("color", "text"), [("#ffffff", "#000"), ("#000000", "#fff"), ("#0a6640", "#fff"), ("#ffe08a", "#000"), ("", "")]
)
def test_text_on_the_colour_can_be_read(color: str, text: str) -> None:
    """Black or white, whichever has more contrast."""
    styles = Look.of(Settings(portal_color=color)).styles.decode()
    assert (f"--on-brand: {text};" in styles) if color else styles == ""
