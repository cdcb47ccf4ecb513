"""A day in small, after which no secret is found anywhere but where it is meant to be shown.

::

    first start ─ keys, webhooks, events, failures, test events, changes, refusals ─ rotate ─ more of it ─ kill -9
    ─ restart ─ a row that somebody breaks, faults in the log ─ stop ─ search
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

from certificates import pair
from packhook.core.audit import Action
from packhook.core.model import SCOPES
from packhook.core.signatures.standard import new_secret
from packhook.testing import Receiver, Status
from packhook.testing.behaviours import Hang
from whole.day import Book, Client, Json, Node, found

SETTINGS: Final = {
    "egress_allow": "127.0.0.0/8",
    "allow_http": "true",
    "retry_schedule": "0.1s,0.1s",
    "log_level": "debug",
    "shutdown_grace": "1s",
}
ORDER: Final = "ord_that_is_found_in_the_database"
ORGANIZATION: Final = "/v1/organizations/acme"
HOOKS: Final = f"{ORGANIZATION}/webhooks"
CLIENTS: Final = {
    name: pair() for name in ("client", "second client", "later client", "refused client", "client of a fault")
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
    "refused secret": "refused secret with spaces in it",
    "secret of a malformed body": "plain-secret-of-a-malformed-body",
    "secret without a key": "plain-secret-sent-without-a-key",
    "secret of a fault": "plain-secret-that-meets-a-fault",
    "header value": "Bearer a-token-that-is-write-only",
    "second header value": "another-value-that-is-write-only",
    "changed header value": "a-value-that-came-later",
    "header value of a fault": "a-value-that-meets-a-fault",
    "refused header value": "a-value-with-\x07-in-it",
    "wrong key": "phk_a-key-that-was-never-made-by-anybody",
}
SEALED: Final = ("secret", "headers", "client_certificate")
HEADERS: Final = {"authorization": SECRETS["header value"], "x-shop": SECRETS["second header value"]}


@dataclass(slots=True)
class Day:
    """Who is there. ``secrets`` grows with the keys that are made."""

    node: Node
    book: Book
    receiver: Receiver
    hanging: Receiver
    secrets: dict[str, str]
    who: dict[str, Client]
    hooks: dict[str, str]

    def ask_as(self, name: str) -> Client:
        """The client with this key."""
        return self.who[name]

    def keep(self, name: str, key: str) -> None:
        """A key is known to its client and to the search."""
        self.secrets[f"key: {name}"] = key
        self.who[name] = self.book.client(self.node, name, key)

    async def until(self, path: str, pleased: str) -> Json:
        """A delivery's story, once it has this status."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            while (story := await self.who["reader"].ask("GET", path, 200))["status"] != pleased:
                again = asyncio.Event()
                loop.call_later(0.05, again.set)
                await again.wait()
        return story


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Day]:
    """Two receivers, and a node that is not started yet."""
    async with Receiver(secrets=[each for each in SECRETS.values() if " " not in each]) as good, Receiver() as hanging:
        hanging.answer = Hang()
        node = Node(tmp_path)
        yield Day(node, Book(), good, hanging, dict(SECRETS), {}, {})
        await node.close()


async def morning(day: Day) -> None:
    """The operator key is shown; an organization, its keys, its webhooks."""
    await day.node.start(**SETTINGS, log_format="json")
    day.keep("operator", day.node.shown_operator_key())
    operator = day.ask_as("operator")
    await operator.ask("POST", "/v1/organizations", 201, json={"id": "acme"})
    for name, scopes in {
        "owner": SCOPES,
        "reader": ("webhooks:read", "events:read"),
        "shop": ("events:publish",),
        "revoked": SCOPES,
    }.items():
        made = await operator.ask(
            "POST", f"{ORGANIZATION}/api-keys", 201, shows=("key",), json={"name": name, "scopes": list(scopes)}
        )
        day.keep(name, made["key"])
        if name == "revoked":
            await operator.ask("DELETE", f"{ORGANIZATION}/api-keys/{made['id']}", 204)
    for name, endpoint in {
        "good": f"{day.receiver.url}/good",
        "failing": f"{day.receiver.url}/failing",
        "hanging": day.hanging.url,
        "unreachable": "http://127.0.0.1:1/",
        "deleted": day.receiver.url.replace("http:", "https:"),
    }.items():
        hook = {"endpoint": endpoint, "secret": SECRETS[f"secret of the {name} one"], "headers": HEADERS}
        hook["client_certificate"] = CLIENTS["client" if name == "good" else "second client"]
        code = "order.canceled" if name == "hanging" else "order.created"
        made = await day.ask_as("owner").ask("POST", HOOKS, 201, shows=("secret",), json={"event_code": code, **hook})
        day.hooks[name] = made["id"]


async def work(day: Day) -> None:
    """Events that are delivered, that fail and that cannot be sent; a test event; everything read back."""
    day.receiver.answer = lambda request: Status(200 if request.path == "/good" else 500)
    shop, reader, owner = day.ask_as("shop"), day.ask_as("reader"), day.ask_as("owner")
    event = {"event_code": "order.created", "data": {"id": ORDER}}
    receipt = await shop.ask("POST", f"{ORGANIZATION}/events", 202, json=event)
    batch = await shop.ask("POST", f"{ORGANIZATION}/events/batch", 202, json={"events": [event, event]})
    assert [each["deliveries"] for each in (receipt, *batch["data"])] == [len(day.hooks) - 1] * 3
    story = await reader.ask("GET", f"{ORGANIZATION}/events/{receipt['id']}", 200)
    for delivery in story["deliveries"]:
        ends = "delivered" if delivery["webhook_id"] == day.hooks["good"] else "exhausted"
        await day.until(f"{ORGANIZATION}/deliveries/{delivery['id']}", ends)
    await shop.ask("POST", f"{ORGANIZATION}/deliveries/{delivery['id']}/retry", 202)
    for name in ("good", "failing", "unreachable"):
        exchange = await owner.ask("POST", f"{HOOKS}/{day.hooks[name]}/test", 200)
        assert exchange["attempt"]["request_headers"]["authorization"] == "***"
    await read_everything(day)


async def read_everything(day: Day) -> None:
    """With every key: what it may read, and that it may not read more."""
    for name in ("owner", "reader", "operator"):
        who, shows = day.ask_as(name), () if name == "reader" else ("secret",)
        page = await who.ask("GET", HOOKS, 200, shows=shows)
        assert {each["headers"]["x-shop"] for each in page["data"]} == {"***"}
        assert {each["client_certificate"]["subject"] for each in page["data"]} == {"CN=client.invalid"}
        await who.ask("GET", f"{HOOKS}/{page['data'][0]['id']}", 200, shows=shows)
        await who.ask("GET", f"{ORGANIZATION}/audit?per_page=100", 403 if name == "reader" else 200)
        for path in ("/events", "/deliveries?per_page=100"):
            await who.ask("GET", ORGANIZATION + path, 200)
    for path in ("/v1/organizations", ORGANIZATION, f"{ORGANIZATION}/api-keys", "/openapi.json", "/docs", "/health"):
        await day.ask_as("operator").ask("GET", path, 200)
    await day.ask_as("operator").ask("GET", "/v1/audit?per_page=100", 200)
    await day.ask_as("shop").ask("GET", HOOKS, 403)
    await day.ask_as("revoked").ask("GET", HOOKS, 401)
    await day.ask_as("owner").ask("GET", "/v1/organizations/other/webhooks", 404)


async def changes_and_refusals(day: Day) -> None:
    """New secrets and header values; and some that are refused, in as many ways as there are."""
    owner, good = day.ask_as("owner"), f"{HOOKS}/{day.hooks['good']}"
    await owner.ask("PUT", good, 200, shows=("secret",), json={"secret": SECRETS["changed secret"]})
    day.receiver.answers(Status(200, {"webhook-allowed-origin": "*"}))
    assert (await owner.ask("POST", f"{good}/verify", 200))["verified"] is True
    later = {"client_certificate": CLIENTS["later client"]}
    await owner.ask("PUT", good, 200, shows=("secret",), json=later)
    changed = {"x-shop": SECRETS["changed header value"]}
    await owner.ask("PUT", good, 200, shows=("secret",), json={"headers": changed})
    await owner.ask("DELETE", f"{HOOKS}/{day.hooks.pop('deleted')}", 204)
    for wrong in (
        {"secret": SECRETS["refused secret"]},
        {"client_certificate": {**CLIENTS["client"], "key": CLIENTS["refused client"]["key"]}},
        {"client_certificate": {"certificate": CLIENTS["refused client"]["key"], "key": "none"}},
        {"client_certificate": {"key": [CLIENTS["refused client"]["key"]]}},
        {"headers": {"x-shop": SECRETS["refused header value"]}},
        {"headers": {"host": SECRETS["header value"]}},
        {"headers": [SECRETS["header value"]], "secret": {"is": SECRETS["changed secret"]}},
    ):
        await owner.ask("PUT", good, 422, json=wrong)
    malformed = f'{{"secret": "{SECRETS["secret of a malformed body"]}", '
    json_type = {"content-type": "application/json"}
    await owner.ask("PUT", good, 400, content=malformed, headers=json_type)
    await owner.ask("PUT", good, 415, content=malformed, headers={"content-type": "text/plain"})
    stranger = day.book.client(day.node, "stranger", SECRETS["wrong key"])
    await stranger.ask("POST", HOOKS, 401, json={"secret": SECRETS["secret without a key"]})
    await day.ask_as("shop").ask("POST", HOOKS, 403, json={"secret": SECRETS["secret without a key"]})


async def rotation(day: Day) -> None:
    """A new master key for all webhooks, and a new secret after it."""
    answer = await day.ask_as("operator").ask("POST", "/v1/master-key/rotate", 200)
    assert answer["reencrypted"] == len(day.hooks)
    await day.ask_as("owner").ask("POST", "/v1/master-key/rotate", 403)
    later = {"secret": SECRETS["secret after the rotation"]}
    await day.ask_as("owner").ask("PUT", f"{HOOKS}/{day.hooks['failing']}", 200, shows=("secret",), json=later)


async def crash(day: Day) -> str:
    """The node is killed while an attempt is under way; the event of that attempt."""
    event = {"event_code": "order.canceled", "data": {"id": ORDER}}
    receipt = await day.ask_as("shop").ask("POST", f"{ORGANIZATION}/events", 202, json=event)
    await day.hanging.wait_for(1, timeout_seconds=20)
    assert await day.node.end(signal.SIGKILL) == -signal.SIGKILL
    return str(receipt["id"])


def break_a_row(day: Day) -> None:
    """Somebody writes nonsense into the database, so that what asks for this webhook meets a fault."""
    db = apsw.Connection(str(day.node.folder / "packhook.db"))
    db.execute("UPDATE webhooks SET retry_schedule = 'nonsense' WHERE id = ?", (day.hooks["unreachable"],))
    db.close()


async def afternoon(day: Day, event_id: str, log_format: str) -> None:
    """Started again: the attempt is made again, and faults are told with their traces."""
    day.hanging.answer = Status(200)
    await day.node.start(**SETTINGS, log_format=log_format)
    event = await day.ask_as("reader").ask("GET", f"{ORGANIZATION}/events/{event_id}", 200)
    (delivery,) = event["deliveries"]
    await day.until(f"{ORGANIZATION}/deliveries/{delivery['id']}", "delivered")
    break_a_row(day)
    fault = {"secret": SECRETS["secret of a fault"], "headers": {"x-shop": SECRETS["header value of a fault"]}}
    await day.ask_as("owner").ask("PUT", f"{HOOKS}/{day.hooks['unreachable']}", 500, json=fault)
    fault = {"client_certificate": CLIENTS["client of a fault"]}
    await day.ask_as("owner").ask("PUT", f"{HOOKS}/{day.hooks['unreachable']}", 500, json=fault)
    await day.ask_as("owner").ask("POST", f"{HOOKS}/{day.hooks['unreachable']}/test", 500)
    await day.ask_as("owner").ask("GET", f"{HOOKS}/{day.hooks['good']}", 200, shows=("secret",))
    await the_trail(day)


async def the_trail(day: Day) -> None:
    """Everything that was done is in it, changed secrets by their field's name alone."""
    found = (await day.ask_as("operator").ask("GET", "/v1/audit?per_page=100", 200))["data"]
    assert {each["action"] for each in found} == set(Action) - {Action.ORGANIZATION_DELETED}
    assert (found[-1]["action"], found[-1]["actor"], found[-1]["source"]) == ("operator_key.created", "operator", "cli")
    changed = [change for each in found for change in each["changes"] if change["field"] in SEALED]
    assert len(changed) == 3 * 5 + 4
    assert {(change["before"], change["after"]) for change in changed} == {(None, None)}


def master_keys(folder: Path) -> dict[str, str]:
    """The keys in the key file, as they are written there."""
    lines = (folder / "packhook.db.key").read_text().splitlines()
    keys = [line.partition(":")[2] for line in lines if not line.startswith("#")]
    return {f"master key {number}": key for number, key in enumerate(keys)}


def places(day: Day) -> dict[str, bytes]:
    """Everywhere to look: what the node said and wrote, and every answer without what it is there to show."""
    answers = {f"{number}: {each.asked} as {each.to}": each.rest() for number, each in enumerate(day.book.answers)}
    return day.node.contents() | answers


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_a_day(day: Day, log_format: str) -> None:
    """No webhook secret, header value, client key, API key, operator key or master key: not in what the node printed or
    logged, not in the database or beside it, not in an answer, save the one that is there to show it."""  # fmt: skip
    await morning(day)
    await work(day)
    await changes_and_refusals(day)
    await rotation(day)
    event_id = await crash(day)
    killed = places(day)
    await afternoon(day, event_id, log_format)
    running = day.node.contents()
    assert await day.node.end(signal.SIGTERM) == 0
    secrets = day.secrets | master_keys(day.node.folder)
    assert len(secrets) == len(SECRETS) + 5 + 2
    for where in (killed, running, places(day)):
        assert found(secrets, where) == set()
    assert_that_it_was_a_day(day, killed)


def assert_that_it_was_a_day(day: Day, killed: dict[str, bytes]) -> None:
    """The search finds what is there: otherwise it would find no secret either."""
    log, database = day.node.log.read_text(), killed["packhook.db"] + killed["packhook.db-wal"]
    assert {"packhook.db", "packhook.db-wal", "stderr.log", "stdout"} <= set(killed)
    for text in (ORDER, "authorization", "x-shop", day.hooks["good"], day.receiver.url):
        assert found({"it": text}, {"database": database}) == {("it", "itself", "database")}
    for line in ("attempt_failed", "lease_reclaimed", "master_key_rotated", "unhandled_exception", "Traceback"):
        assert line in log
    assert {(each.method, each.verified) for each in day.receiver.received} == {("POST", True), ("OPTIONS", False)}
    sent = {value for each in day.receiver.received for value in each.headers.values()}
    assert set(HEADERS.values()) <= sent
    whole = base64.b64decode(master_keys(day.node.folder)["master key 0"])
    assert found({"key": SECRETS["header value"]}, {"a": b"x" + SECRETS["header value"].encode()}) != set()
    assert all(whole not in content for content in killed.values())


async def test_a_receiver_that_repeats_what_it_got(day: Day) -> None:
    """The values of a webhook's headers are write-only: they are hidden in the answer that is kept of the receiver."""

    def repeat(request: Any) -> Status:  # noqa: ANN401 a Received
        said = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        return Status(500, {"x-you-sent": request.headers["x-shop"]}, said.encode())

    await morning(day)
    day.receiver.answer = repeat
    event = {"event_code": "order.created", "data": {"id": ORDER}}
    receipt = await day.ask_as("shop").ask("POST", f"{ORGANIZATION}/events", 202, json=event)
    story = await day.ask_as("reader").ask("GET", f"{ORGANIZATION}/events/{receipt['id']}", 200)
    for delivery in story["deliveries"]:
        await day.until(f"{ORGANIZATION}/deliveries/{delivery['id']}", "exhausted")
    assert await day.node.end(signal.SIGTERM) == 0
    assert found(day.secrets, places(day)) == set()
