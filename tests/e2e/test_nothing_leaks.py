"""Use every feature that handles secrets, then search everything: no secret is anywhere but where it is meant to be.

::

    first start ─ keys, webhooks, events, failures, test events, changes, refusals ─ dashboard, portal ─ rotate
    ─ more events ─ kill -9 ─ restart ─ a corrupt row, exceptions in the log ─ stop ─ search
"""

import asyncio
import base64
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from e2e.leak_search import Browser, Client, Json, Node, ResponseLog, find_secrets
from packhook.core.audit import Action
from packhook.core.model import SCOPES
from packhook.core.signatures.standard import new_secret
from packhook.testing import Receiver, Status
from packhook.testing.behaviours import Hang
from packhook.web.routes import ROUTES
from packhook.web.visitors import GRANTED_BY
from store.refusing import give_up
from support.api_node import eventually
from support.certificates import pair

SETTINGS: Final = {
    "egress_allow": "127.0.0.0/8",
    "allow_http": "true",
    "retry_schedule": "0.1s,0.1s",
    "log_level": "debug",
    "access_log": "true",
    "shutdown_grace": "1s",
}
ORDER: Final = "ord_that_is_found_in_the_database"
ORGANIZATION: Final = "/v1/organizations/acme"
HOOKS: Final = f"{ORGANIZATION}/webhooks"
CLIENTS: Final = {
    name: pair() for name in ("client", "second client", "later client", "refused client", "client of a failed request")
}
SECRETS: Final = {
    **{f"key of the {name}": given["key"].splitlines()[2] for name, given in CLIENTS.items()},
    "secret of the good one": new_secret(),
    "secret of the failing one": "plain-secret-of-the-failing-one",
    "secret of the hanging one": new_secret(),
    "secret of the unreachable one": "plain-secret-of-the-unreachable-one",
    "secret of the deleted one": "plain-secret-of-the-deleted-one",
    "changed secret": "plain-secret-that-came-later",
    "secret after the rotation": new_secret(),
    "rotated secret": "plain-secret-of-a-rotation",
    "secret that is proven": new_secret(),
    "refused secret": "refused secret with spaces in it",
    "secret of a malformed body": "plain-secret-of-a-malformed-body",
    "secret without a key": "plain-secret-sent-without-a-key",
    "secret of a failed request": "plain-secret-that-meets-a-fault",
    "header value": "Bearer a-token-that-is-write-only",
    "second header value": "another-value-that-is-write-only",
    "changed header value": "a-value-that-came-later",
    "header value of a failed request": "a-value-that-meets-a-fault",
    "refused header value": "a-value-with-\x07-in-it",
    "wrong key": "phk_a-key-that-was-never-made-by-anybody",
    "wrong operator key": "an-operator-key-of-another-instance",
    "wrong link": "phl_a-link-that-was-never-made-by-anybody",
}
UNSEEN: Final = ("sign-in", "sign-in-link", "tail-stream", "tail-all-stream")
ENCRYPTED_FIELDS: Final = ("secret", "headers", "client_certificate")
HEADERS: Final = {"authorization": SECRETS["header value"], "x-shop": SECRETS["second header value"]}


@dataclass(slots=True)
class Scenario:
    """Hold the node, the receivers, clients and browsers. ``secrets`` grows with keys, links and cookies."""

    node: Node
    log: ResponseLog
    receiver: Receiver
    hanging: Receiver
    secrets: dict[str, str]
    clients: dict[str, Client]
    webhooks: dict[str, str]
    browsers: dict[str, Browser]

    def client(self, name: str) -> Client:
        """Return the client with this key."""
        return self.clients[name]

    def add_client(self, name: str, key: str) -> None:
        """Add a client with this key, and the key to the secrets to search for."""
        self.secrets[f"key: {name}"] = key
        self.clients[name] = self.log.client(self.node, name, key)

    def add_browser(self, name: str) -> Browser:
        """Add a browser without cookies; those that it is given become secrets to search for."""
        self.browsers[name] = Browser(self.log, self.node, name, self.secrets)
        return self.browsers[name]

    async def wait_for_status(self, path: str, status: str) -> Json:
        """Return a delivery once it has this status."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            while (delivery := await self.clients["reader"].request("GET", path, 200))["status"] != status:
                retry = asyncio.Event()
                loop.call_later(0.05, retry.set)
                await retry.wait()
        return delivery


@pytest.fixture
async def scenario(tmp_path: Path) -> AsyncIterator[Scenario]:
    """Yield two receivers, and a node that is not started yet."""
    async with (
        Receiver(secrets=[secret for secret in SECRETS.values() if " " not in secret]) as good,
        Receiver() as hanging,
    ):
        hanging.answer = Hang()
        node = Node(tmp_path)
        yield Scenario(node, ResponseLog(), good, hanging, dict(SECRETS), {}, {}, {})
        await node.close()


async def start_and_subscribe(scenario: Scenario) -> None:
    """Start the node and create an organization, its keys and its webhooks."""
    await scenario.node.start("--sign-in-link", **SETTINGS, log_format="json")
    scenario.add_client("operator", scenario.node.take_operator_key())
    scenario.secrets["sign-in link"] = scenario.node.take_sign_in_link().partition("?token=")[2]
    operator = scenario.client("operator")
    await operator.request("POST", "/v1/organizations", 201, json={"id": "acme"})
    for name, scopes in {
        "owner": SCOPES,
        "reader": ("webhooks:read", "events:read"),
        "shop": ("events:publish",),
        "revoked": SCOPES,
    }.items():
        made = await operator.request(
            "POST", f"{ORGANIZATION}/api-keys", 201, shows=("key",), json={"name": name, "scopes": list(scopes)}
        )
        scenario.add_client(name, made["key"])
        if name == "revoked":
            await operator.request("DELETE", f"{ORGANIZATION}/api-keys/{made['id']}", 204)
    for name, endpoint in {
        "good": f"{scenario.receiver.url}/good",
        "failing": f"{scenario.receiver.url}/failing",
        "hanging": scenario.hanging.url,
        "unreachable": "http://127.0.0.1:1/",
        "deleted": scenario.receiver.url.replace("http:", "https:"),
    }.items():
        hook = {"endpoint": endpoint, "secret": SECRETS[f"secret of the {name} one"], "headers": HEADERS}
        hook["client_certificate"] = CLIENTS["client" if name == "good" else "second client"]
        code = "order.canceled" if name == "hanging" else "order.created"
        made = await scenario.client("owner").request(
            "POST", HOOKS, 201, shows=("secret",), json={"event_code": code, **hook}
        )
        scenario.webhooks[name] = made["id"]


async def publish_and_deliver(scenario: Scenario) -> None:
    """Publish events that are delivered, that fail and that cannot be sent; send test events; read everything."""
    scenario.receiver.answer = lambda request: Status(200 if request.path == "/good" else 500)
    shop, reader, owner = scenario.client("shop"), scenario.client("reader"), scenario.client("owner")
    event = {"event_code": "order.created", "data": {"id": ORDER}}
    receipt = await shop.request("POST", f"{ORGANIZATION}/events", 202, json=event)
    batch = await shop.request("POST", f"{ORGANIZATION}/events/batch", 202, json={"events": [event, event]})
    assert [published["deliveries"] for published in (receipt, *batch["data"])] == [len(scenario.webhooks) - 1] * 3
    event_detail = await reader.request("GET", f"{ORGANIZATION}/events/{receipt['id']}", 200)
    for delivery in event_detail["deliveries"]:
        ends = "delivered" if delivery["webhook_id"] == scenario.webhooks["good"] else "exhausted"
        await scenario.wait_for_status(f"{ORGANIZATION}/deliveries/{delivery['id']}", ends)
    await owner.request("POST", f"{ORGANIZATION}/deliveries/{delivery['id']}/retry", 202)
    for name in ("good", "failing", "unreachable"):
        exchange = await owner.request("POST", f"{HOOKS}/{scenario.webhooks[name]}/test", 200)
        assert exchange["attempt"]["request_headers"]["authorization"] == "***"
    await read_everything(scenario)


async def diagnose_and_erase(scenario: Scenario) -> None:
    """Examine endpoints that work, fail, cannot be reached and speak no TLS; erase events; decide on refused ones."""
    owner, shop = scenario.client("owner"), scenario.client("shop")
    for name in ("good", "failing", "unreachable", "deleted"):
        await owner.request("POST", f"{HOOKS}/{scenario.webhooks[name]}/diagnose", 200)
    event = {"event_code": "order.shipped", "data": {"id": "ord_to_be_erased"}}
    receipt = await shop.request("POST", f"{ORGANIZATION}/events", 202, json=event)
    await owner.request("DELETE", f"{ORGANIZATION}/events/{receipt['id']}/data", 204)
    await shop.request("POST", f"{ORGANIZATION}/events", 202, json=event)
    subject = {"subject": "ord_to_be_erased"}
    assert (await owner.request("POST", f"{ORGANIZATION}/events/erase", 200, json=subject))["erased"] == 1
    for method, decision, status in (("POST", "/retry", 202), ("DELETE", "", 204)):
        refused = (await shop.request("POST", f"{ORGANIZATION}/events", 202, json=event))["id"]
        give_up(scenario.node.folder, "acme", refused)
        await owner.request(method, f"{ORGANIZATION}/refused-events/{refused}{decision}", status)


async def change_instance(scenario: Scenario) -> None:
    """Change the organization, and the catalogue of event types."""
    operator = scenario.client("operator")
    await operator.request("PUT", ORGANIZATION, 200, json={"retention": "90d"})
    await operator.request("POST", "/v1/event-types", 201, json={"code": "parcel.lost"})
    await operator.request("PUT", "/v1/event-types/parcel.lost", 200, json={"description": "It did not arrive."})
    await operator.request("DELETE", "/v1/event-types/parcel.lost", 204)


async def visit_dashboard(scenario: Scenario) -> None:
    """Sign in by key and by link, sign out, see every page, and see the secret that one of them shows."""
    browser, operator = scenario.add_browser("dashboard"), scenario.client("operator").key
    form, sign_in = await browser.read("/dashboard/sign-in"), "/dashboard/sign-in"
    for key, status in (("wrong operator key", 403), ("key: owner", 403)):
        await browser.send(form, sign_in, status, key=scenario.secrets[key])
    await browser.send(form, sign_in, 303, key=operator)
    link = f"/dashboard/open?token={scenario.secrets['sign-in link']}"
    for name, status in (("first visitor", 303), ("second visitor", 403)):
        await scenario.add_browser(name).read(link, status)
    visitor = scenario.browsers["first visitor"]
    await visitor.send(await visitor.read("/dashboard"), "/dashboard/sign-out", 303)
    await see_pages(scenario, "dashboard", {page.name for page in ROUTES})
    await see_secret(scenario, "dashboard")


async def visit_portal(scenario: Scenario) -> None:
    """Open a link, which works once; see every page and a secret, and meet a link that never was."""
    wanted, sessions = {"capabilities": ["view", "manage", "replay", "secrets"]}, f"{ORGANIZATION}/portal-sessions"
    link = (await scenario.client("owner").request("POST", sessions, 201, shows=("url",), json=wanted))["url"]
    scenario.secrets["link"] = link.partition("?token=")[2]
    browser, opened = scenario.add_browser("portal"), link.removeprefix(scenario.node.url)
    assert opened == f"/portal/open?token={scenario.secrets['link']}"
    await browser.read(opened, 303)
    for token in ("link", "wrong link"):
        await scenario.add_browser("late").read(f"/portal/open?token={scenario.secrets[token]}", 401)
    await see_pages(scenario, "portal", set(GRANTED_BY))
    await see_secret(scenario, "portal")


async def see_pages(scenario: Scenario, site: str, names: set[str]) -> None:
    """Read these pages of a site, all but those of streams, which have no end, and the form to sign in."""
    reader, operator = scenario.client("reader"), scenario.client("operator")
    listed = {
        name: (await client.request("GET", f"{ORGANIZATION}/{name}", 200))["data"][0]
        for name, client in {"deliveries": reader, "replays": reader, "api-keys": operator}.items()
    }
    of = {
        "organizationId": "acme",
        "webhookId": scenario.webhooks["good"],
        "deliveryId": listed["deliveries"]["id"],
        "eventId": listed["deliveries"]["event_id"],
        "replayId": listed["replays"]["id"],
        "keyId": listed["api-keys"]["id"],
        "code": "parcel.lost",
    }
    for page in ROUTES:
        if page.name in names and page.get is not None and page.name not in UNSEEN:
            await scenario.browsers[site].read(f"/{site}{page.path.format(**of)}")


async def see_secret(scenario: Scenario, site: str) -> None:
    """Ask a site for the secret of a webhook: in clear on this page, once as text and once to be copied."""
    webhook = f"/{site}/organizations/acme/webhooks/{scenario.webhooks['failing']}"
    page = await scenario.browsers[site].read(webhook)
    shows = (SECRETS["secret of the failing one"],) * 2
    await scenario.browsers[site].send(page, f"{webhook}/secret", 200, shows=shows)


async def read_everything(scenario: Scenario) -> None:
    """Read with each key what it may read, and check that it may not read more."""
    for name in ("owner", "reader", "operator"):
        client, shows = scenario.client(name), () if name == "reader" else ("secret",)
        page = await client.request("GET", HOOKS, 200, shows=shows)
        assert {webhook["headers"]["x-shop"] for webhook in page["data"]} == {"***"}
        assert {webhook["client_certificate"]["subject"] for webhook in page["data"]} == {"CN=client.invalid"}
        await client.request("GET", f"{HOOKS}/{page['data'][0]['id']}", 200, shows=shows)
        await client.request("GET", f"{ORGANIZATION}/audit?per_page=100", 403 if name == "reader" else 200)
        await client.request("GET", f"{HOOKS}/{page['data'][0]['id']}/health", 200)
        for path in ("/events", "/deliveries?per_page=100", "/feed?limit=1000", f"/timeline?subject={ORDER}"):
            await client.request("GET", ORGANIZATION + path, 200)
    for path in ("/v1/organizations", ORGANIZATION, f"{ORGANIZATION}/api-keys", "/openapi.json", "/docs", "/health"):
        await scenario.client("operator").request("GET", path, 200)
    await scenario.client("operator").request("GET", "/v1/audit?per_page=100", 200)
    await scenario.client("shop").request("GET", HOOKS, 403)
    await scenario.client("revoked").request("GET", HOOKS, 401)
    await scenario.client("owner").request("GET", "/v1/organizations/other/webhooks", 404)


async def replay(scenario: Scenario) -> None:
    """Replay what failed for a webhook that is paused, so that the replay cannot finish before it is canceled."""
    owner, unreachable = scenario.client("owner"), f"{HOOKS}/{scenario.webhooks['unreachable']}"
    await owner.request("PUT", unreachable, 200, shows=("secret",), json={"paused": True})
    selected = {"select": "failed", "since": "2020-01-01T00:00:00Z"}
    made = await owner.request("POST", f"{unreachable}/replays", 202, json=selected)
    for change in ("pause", "resume", "cancel"):
        await owner.request("POST", f"{ORGANIZATION}/replays/{made['id']}/{change}", 200)
    await owner.request("GET", f"{ORGANIZATION}/replays", 200)
    await owner.request("PUT", unreachable, 200, shows=("secret",), json={"paused": False})


async def change_and_refuse(scenario: Scenario) -> None:
    """Change secrets and header values, and send some that are refused in every possible way."""
    owner, good = scenario.client("owner"), f"{HOOKS}/{scenario.webhooks['good']}"
    await owner.request("PUT", good, 200, shows=("secret",), json={"secret": SECRETS["changed secret"]})
    for rotation in (
        {"secret": SECRETS["rotated secret"]},
        {"secret": SECRETS["secret that is proven"], "finish": "when_proven"},
    ):
        await owner.request("POST", f"{good}/rotate-secret", 200, shows=("secret",), json=rotation)
    await eventually(
        lambda: owner.request("GET", good, 200, shows=("secret",)),
        lambda webhook: "previous_secret_expires_at" not in webhook,
    )
    scenario.receiver.answers(Status(200, {"webhook-allowed-origin": "*"}))
    assert (await owner.request("POST", f"{good}/verify", 200))["verified"] is True
    later = {"client_certificate": CLIENTS["later client"]}
    await owner.request("PUT", good, 200, shows=("secret",), json=later)
    changed = {"x-shop": SECRETS["changed header value"]}
    await owner.request("PUT", good, 200, shows=("secret",), json={"headers": changed})
    await owner.request("DELETE", f"{HOOKS}/{scenario.webhooks.pop('deleted')}", 204)
    await replay(scenario)
    for wrong in (
        {"secret": SECRETS["refused secret"]},
        {"client_certificate": {**CLIENTS["client"], "key": CLIENTS["refused client"]["key"]}},
        {"client_certificate": {"certificate": CLIENTS["refused client"]["key"], "key": "none"}},
        {"client_certificate": {"key": [CLIENTS["refused client"]["key"]]}},
        {"headers": {"x-shop": SECRETS["refused header value"]}},
        {"headers": {"host": SECRETS["header value"]}},
        {"headers": [SECRETS["header value"]], "secret": {"is": SECRETS["changed secret"]}},
    ):
        await owner.request("PUT", good, 422, json=wrong)
    malformed = f'{{"secret": "{SECRETS["secret of a malformed body"]}", '
    json_type = {"content-type": "application/json"}
    await owner.request("PUT", good, 400, content=malformed, headers=json_type)
    await owner.request("PUT", good, 415, content=malformed, headers={"content-type": "text/plain"})
    stranger = scenario.log.client(scenario.node, "stranger", SECRETS["wrong key"])
    await stranger.request("POST", HOOKS, 401, json={"secret": SECRETS["secret without a key"]})
    await scenario.client("shop").request("POST", HOOKS, 403, json={"secret": SECRETS["secret without a key"]})


async def rotate_master_key(scenario: Scenario) -> None:
    """Rotate the master key of all webhooks, then set a new secret, and rotate that one: it stays as a previous one."""
    answer = await scenario.client("operator").request("POST", "/v1/master-key/rotate", 200)
    assert answer["reencrypted"] == len(scenario.webhooks)
    await scenario.client("owner").request("POST", "/v1/master-key/rotate", 403)
    later = {"secret": SECRETS["secret after the rotation"]}
    failing = f"{HOOKS}/{scenario.webhooks['failing']}"
    await scenario.client("owner").request("PUT", failing, 200, shows=("secret",), json=later)
    await scenario.client("owner").request("POST", f"{failing}/rotate-secret", 200, shows=("secret",), json={})


async def kill_while_sending(scenario: Scenario) -> str:
    """Kill the node while an attempt is in flight; return the id of its event."""
    event = {"event_code": "order.canceled", "data": {"id": ORDER}}
    receipt = await scenario.client("shop").request("POST", f"{ORGANIZATION}/events", 202, json=event)
    await scenario.hanging.wait_for(1, timeout_seconds=20)
    assert await scenario.node.end(signal.SIGKILL) == -signal.SIGKILL
    return str(receipt["id"])


def corrupt_a_row(scenario: Scenario) -> None:
    """Write an invalid value into the database, so that requests for this webhook fail with 500."""
    db = apsw.Connection(str(scenario.node.folder / "packhook.db"))
    db.execute("UPDATE webhooks SET retry_schedule = 'nonsense' WHERE id = ?", (scenario.webhooks["unreachable"],))
    db.close()


async def restart_and_fail(scenario: Scenario, event_id: str, log_format: str) -> None:
    """Restart: the attempt is repeated, and exceptions are logged with their tracebacks."""
    scenario.hanging.answer = Status(200)
    await scenario.node.start(**SETTINGS, log_format=log_format)
    event = await scenario.client("reader").request("GET", f"{ORGANIZATION}/events/{event_id}", 200)
    (delivery,) = event["deliveries"]
    await scenario.wait_for_status(f"{ORGANIZATION}/deliveries/{delivery['id']}", "delivered")
    corrupt_a_row(scenario)
    fault = {
        "secret": SECRETS["secret of a failed request"],
        "headers": {"x-shop": SECRETS["header value of a failed request"]},
    }
    await scenario.client("owner").request("PUT", f"{HOOKS}/{scenario.webhooks['unreachable']}", 500, json=fault)
    fault = {"client_certificate": CLIENTS["client of a failed request"]}
    await scenario.client("owner").request("PUT", f"{HOOKS}/{scenario.webhooks['unreachable']}", 500, json=fault)
    await scenario.client("owner").request("POST", f"{HOOKS}/{scenario.webhooks['unreachable']}/test", 500)
    await scenario.client("owner").request("GET", f"{HOOKS}/{scenario.webhooks['good']}", 200, shows=("secret",))
    for site in ("dashboard", "portal"):  # with the cookies from before the restart
        page = f"/{site}/organizations/acme/webhooks/{scenario.webhooks['unreachable']}"
        await scenario.browsers[site].read(page, 500)
    await check_audit_trail(scenario)


async def check_audit_trail(scenario: Scenario) -> None:
    """Find every action in the audit trail, and changed secrets by the name of the field only."""
    entries = (await scenario.client("operator").request("GET", "/v1/audit?per_page=100", 200))["data"]
    assert {entry["action"] for entry in entries} == set(Action) - {Action.ORGANIZATION_DELETED}
    assert (entries[-1]["action"], entries[-1]["actor"], entries[-1]["source"]) == (
        "operator_key.created",
        "operator",
        "cli",
    )
    changed = [change for entry in entries for change in entry["changes"] if change["field"] in ENCRYPTED_FIELDS]
    assert len(changed) == 3 * 5 + 4 + 3
    assert {(change["before"], change["after"]) for change in changed} == {(None, None)}


def master_keys(folder: Path) -> dict[str, str]:
    """Return the keys of the key file, as they are written there."""
    lines = (folder / "packhook.db.key").read_text().splitlines()
    keys = [line.partition(":")[2] for line in lines if not line.startswith("#")]
    return {f"master key {number}": key for number, key in enumerate(keys)}


def searched_contents(scenario: Scenario) -> dict[str, bytes]:
    """Return what the node printed and wrote, and every response without the secrets it is meant to show."""
    responses = {
        f"{number}: {response.request} as {response.client}": response.without_shown()
        for number, response in enumerate(scenario.log.responses)
    }
    return scenario.node.contents() | responses


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_secret_leaks(scenario: Scenario, log_format: str) -> None:
    """Find no webhook secret, header value, client key, key, link to the portal or cookie where it does not belong.

    Search what the node printed and logged, the database and the files beside it, and every response.
    """
    await start_and_subscribe(scenario)
    await publish_and_deliver(scenario)
    await diagnose_and_erase(scenario)
    await change_instance(scenario)
    await change_and_refuse(scenario)
    await visit_dashboard(scenario)
    await visit_portal(scenario)
    await rotate_master_key(scenario)
    event_id = await kill_while_sending(scenario)
    killed = searched_contents(scenario)
    await restart_and_fail(scenario, event_id, log_format)
    running = scenario.node.contents()
    assert await scenario.node.end(signal.SIGTERM) == 0
    secrets = scenario.secrets | master_keys(scenario.node.folder)
    keys, cookies, links = 5 + 2, 4 + 2 + 1, 2
    assert len(secrets) == len(SECRETS) + keys + cookies + links
    for contents in (killed, running, searched_contents(scenario)):
        assert find_secrets(secrets, contents) == set()
    check_the_search(scenario, killed)


def check_the_search(scenario: Scenario, killed: dict[str, bytes]) -> None:
    """Check that the search finds what is there: otherwise it would find no secret either."""
    log, database = scenario.node.log.read_text(), killed["packhook.db"] + killed["packhook.db-wal"]
    assert {"packhook.db", "packhook.db-wal", "stderr.log", "stdout"} <= set(killed)
    for text in (ORDER, "authorization", "x-shop", scenario.webhooks["good"], scenario.receiver.url):
        assert find_secrets({"it": text}, {"database": database}) == {("it", "itself", "database")}
    for line in ("attempt_failed", "lease_reclaimed", "master_key_rotated", "unhandled_exception", "Traceback"):
        assert line in log
    for line in ("page_failed", "/portal/", "/dashboard/"):
        assert line in log
    assert {(request.method, request.verified) for request in scenario.receiver.received} == {
        ("POST", True),
        ("OPTIONS", False),
    }
    sent = {value for request in scenario.receiver.received for value in request.headers.values()}
    assert set(HEADERS.values()) <= sent
    first_key = base64.b64decode(master_keys(scenario.node.folder)["master key 0"])
    assert find_secrets({"key": SECRETS["header value"]}, {"a": b"x" + SECRETS["header value"].encode()}) != set()
    assert all(first_key not in content for content in killed.values())


async def test_a_receiver_that_echoes_the_request(scenario: Scenario) -> None:
    """Hide the values of a webhook's headers in the stored response too."""

    def echo(request: Any) -> Status:  # noqa: ANN401 a Received
        lines = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        return Status(500, {"x-you-sent": request.headers["x-shop"]}, lines.encode())

    await start_and_subscribe(scenario)
    scenario.receiver.answer = echo
    event = {"event_code": "order.created", "data": {"id": ORDER}}
    receipt = await scenario.client("shop").request("POST", f"{ORGANIZATION}/events", 202, json=event)
    event_detail = await scenario.client("reader").request("GET", f"{ORGANIZATION}/events/{receipt['id']}", 200)
    for delivery in event_detail["deliveries"]:
        await scenario.wait_for_status(f"{ORGANIZATION}/deliveries/{delivery['id']}", "exhausted")
    assert await scenario.node.end(signal.SIGTERM) == 0
    assert find_secrets(scenario.secrets, searched_contents(scenario)) == set()
