"""Test what the endpoint doctor finds: one real endpoint for each thing that can be wrong with it."""

import ssl
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from msgspec import structs

from packhook.core.clock import SystemClock
from packhook.core.connection_steps import Reached, Resolved, TlsAgreed, Unreached
from packhook.core.endpoint_findings import Check, Examination, Finding, Level, findings, summary_of, worst
from packhook.core.model import Event, Webhook, WebhookState
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress
from packhook.delivery.probe import EndpointProbe
from packhook.settings import Settings
from packhook.testing import Behaviour, ConnectProxy, Garbage, Hang, HangUp, Receiver, Redirect, Reset, Status
from support.certificates import certificate_text, key_text, new_key
from support.http_client import LOOPBACK, FakeDns, sending, through_proxy

HOST: Final = "shop.test"
SECRET: Final = "q9NhjkjV9o"
NOW: Final = datetime.now(UTC).replace(tzinfo=None)  # trustme expects naive UTC
BOTH: Final = (*LOOPBACK, ip_network("::1/128"))
_REFUSED: Final = "Connection refused: nothing listens at the endpoint's port."


@cache
def _authority() -> tuple[trustme.CA, Path]:
    made = trustme.CA()
    bundle = Path(tempfile.mkdtemp(prefix="packhook-test-")) / "authority.pem"
    made.cert_pem.write_to_path(str(bundle))
    return made, bundle


def _context(leaf: trustme.LeafCert, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    leaf.configure_cert(context)
    return context


def _issued(name: str = HOST, not_before: datetime | None = None, not_after: datetime | None = None) -> ssl.SSLContext:
    return _context(_authority()[0].issue_cert(name, not_before=not_before, not_after=not_after))


def _from_files(folder: Path, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "certificate.pem").write_text(certificate)
    (folder / "key.pem").write_text(key)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


def _self_signed(folder: Path) -> ssl.SSLContext:
    """Return a context with a certificate that its own key signed."""
    own = trustme.CA()
    return _from_files(folder, own.cert_pem.bytes().decode(), own.private_key_pem.bytes().decode())


def _unknown(folder: Path) -> ssl.SSLContext:
    """Return a context with a certificate whose issuer is not sent along."""
    key = new_key()
    return _from_files(folder, certificate_text(key, usage=None), key_text(key))


@asynccontextmanager
async def probing(egress: Egress | None = None, **settings: Any) -> AsyncIterator[EndpointProbe]:  # noqa: ANN401 any setting
    """Open a client that trusts our authority; without ``egress`` it resolves every name to 127.0.0.1."""
    egress = egress or Egress(LOOPBACK, allow_http=True, resolve=FakeDns(("127.0.0.1",)))
    async with sending(egress, ca_bundle=_authority()[1]) as client:
        yield probe_over(client, **settings)


def probe_over(client: HttpClient, **settings: Any) -> EndpointProbe:  # noqa: ANN401 as above
    """Return a probe of this client."""
    return EndpointProbe(client, Settings(**{"allow_http": True, "attempt_timeout": "5s", **settings}), SystemClock())


async def examine(probe: EndpointProbe, url: str, *, has_secret: bool = True) -> Examination:
    """Examine an endpoint as the doctor does."""
    now = SystemClock().now()
    webhook = Webhook(
        id="wh_1", organization_id="acme", event_code="order.created", endpoint=url, secret=SECRET, enabled=True,
        created_at=now, updated_at=now, version=1,
    )  # fmt: skip
    event = Event(id="evt_1", organization_id="acme", event_code="order.created", data=b"{}", created_at=now)
    return (await probe.examine(WebhookState(webhook=webhook), event, has_secret=has_secret))[1]


def serious(found: Sequence[Finding]) -> list[tuple[Check, Level, str]]:
    """Return the findings that are not in order; each has a fix."""
    assert all(bool(finding.fix) == (finding.level is not Level.OK) for finding in found)
    return [(finding.check, finding.level, finding.message) for finding in found if finding.level is not Level.OK]


def checks(found: Sequence[Finding]) -> list[Check]:
    """Return what was checked."""
    return [finding.check for finding in found]


_PROBLEM, _WARNING = Level.PROBLEM, Level.WARNING
_TO_RESPONSE: Final = [Check.URL, Check.DNS, Check.CONNECTION, Check.TLS, Check.CERTIFICATE]
_ALL: Final = [*_TO_RESPONSE, Check.REDIRECT, Check.METHOD, Check.STATUS, Check.LATENCY]


async def test_a_good_endpoint() -> None:
    """Find every check in order; the certificate, the version of TLS and the address are those of the connection."""
    async with probing() as probe, Receiver(tls=_issued(), secrets=(SECRET,)) as receiver:
        examined = await examine(probe, f"https://{HOST}:{receiver.port}/hook")
        (received,) = receiver.received
    found = findings(examined)
    assert (received.verified, serious(found), checks(found)) == (True, [], _ALL)
    resolved, reached, agreed = examined.steps
    assert resolved == Resolved(addresses=("127.0.0.1",), is_literal=False, is_proxied=False)
    assert isinstance(reached, Reached)
    assert reached.address == "127.0.0.1"
    assert isinstance(agreed, TlsAgreed)
    assert (agreed.version, agreed.is_trusted, agreed.chain[0].names) == ("TLSv1.3", True, (HOST,))
    assert 0 <= reached.elapsed <= agreed.elapsed <= examined.outcome.duration
    assert summary_of(found) == "Deliveries to this endpoint arrive, and nothing is wrong with it."


async def test_each_examination_has_a_connection_of_its_own() -> None:
    """Connect and shake hands anew, whatever is kept; keep nothing for deliveries."""
    async with probing() as probe, Receiver(tls=_issued()) as receiver:
        for number in (1, 2):
            examined = await examine(probe, f"https://{HOST}:{receiver.port}/")
            assert [type(step) for step in examined.steps] == [Resolved, Reached, TlsAgreed]
            await receiver.wait_for(number)
            await receiver.wait_until_quiet()
        assert receiver.connections_made == 2


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        (lambda _: _issued("other.test"), "The certificate is not for this host but for other.test: install one"),
        (
            lambda _: _issued(not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(days=2)),
            "The certificate expired at ",
        ),
        (lambda _: _issued(not_before=NOW + timedelta(days=2)), "The certificate is not valid yet"),
        (lambda _: _context(trustme.CA().issue_cert(HOST)), "The certificate's issuer ("),
        (_unknown, "The certificate's issuer (O=Example) is unknown"),
        (_self_signed, "The certificate is self-signed"),
    ],
)
async def test_certificates_that_are_refused(tls: Any, message: str, tmp_path: Path) -> None:  # noqa: ANN401 a context of the folder
    """Say what is wrong with the certificate, and send nothing over the handshake that reads it."""
    async with probing() as probe, Receiver(tls=tls(tmp_path)) as receiver:
        examined = await examine(probe, f"https://{HOST}:{receiver.port}/")
        assert receiver.received == []
    found = findings(examined)
    ((check, level, text),) = serious(found)
    assert (check, level, checks(found)) == (Check.CERTIFICATE, _PROBLEM, _TO_RESPONSE)
    assert text.startswith(message)
    assert summary_of(found) == f"Deliveries to this endpoint fail. {text}"


async def test_a_certificate_that_expires_soon() -> None:
    """Warn from 14 days before its end; deliveries arrive."""
    tls = _issued(not_after=NOW + timedelta(days=3, hours=1))
    async with probing() as probe, Receiver(tls=tls) as receiver:
        examined = await examine(probe, f"https://{HOST}:{receiver.port}/")
    ((check, level, text),) = serious(findings(examined))
    assert (check, level) == (Check.CERTIFICATE, _WARNING)
    assert text.startswith("The certificate expires in 3 days, at 20")
    assert worst(findings(examined)) is _WARNING


@pytest.mark.parametrize(
    ("behaviour", "check", "level", "message"),
    [
        (Redirect("https://shop.test/new"), Check.REDIRECT, _PROBLEM, "Answered 302 Found to https://shop.test/new: "),
        (Status(405), Check.METHOD, _PROBLEM, "Answered 405 Method Not Allowed: "),
        (Status(404), Check.STATUS, _PROBLEM, "Answered 404 Not Found: "),
        (Status(401), Check.STATUS, _PROBLEM, "Answered 401 Unauthorized: "),
        (Status(500), Check.STATUS, _PROBLEM, "Answered 500 Internal Server Error: "),
        (
            Status(200, {"content-type": "text/html; charset=utf-8"}, b"<h1>Sign in</h1>"),
            Check.STATUS, _WARNING, "The endpoint responded 200 OK with an HTML page",
        ),
        (Reset(b""), Check.STATUS, _PROBLEM, "The connection was reset before the whole response had come."),
        (HangUp(), Check.STATUS, _PROBLEM, "The connection was closed without a response"),
        (Garbage(), Check.STATUS, _PROBLEM, "The response is not HTTP/1.1."),
        (Hang(), Check.LATENCY, _PROBLEM, "The time ran out while waiting for the response: "),
        (
            Status(200, {"date": format_datetime(datetime.now(UTC) - timedelta(hours=2, minutes=30), usegmt=True)}),
            Check.CLOCK, _WARNING, "The Date of the response is 2 hours behind packhook's clock: receivers refuse ",
        ),
        (
            Status(400, {"date": format_datetime(datetime.now(UTC) + timedelta(days=3, hours=12), usegmt=True)}),
            Check.CLOCK, _PROBLEM, "The Date of the response is 3 days ahead of packhook's clock: receivers refuse ",
        ),
    ],
)  # fmt: skip
async def test_responses(behaviour: Behaviour, check: Check, level: Level, message: str) -> None:
    """Say what is wrong with a response, or why there is none."""
    async with probing(attempt_timeout="1s") as probe, Receiver(behaviour, tls=_issued()) as receiver:
        examined = await examine(probe, f"https://{HOST}:{receiver.port}/")
    found = [one for one in serious(findings(examined)) if one[0] is check]
    assert [(one[:2], one[2].startswith(message)) for one in found] == [((check, level), True)], found


async def test_a_slow_endpoint() -> None:
    """Warn of an exchange that took more than a third of its time."""
    examined = await _examined_plain(Status(200))
    slow = structs.replace(examined, outcome=structs.replace(examined.outcome, duration=1_700))
    ((check, level, text),) = [one for one in serious(findings(slow)) if one[0] is not Check.URL]
    assert (check, level) == (Check.LATENCY, _WARNING)
    assert text == "The whole exchange took 1,700 ms, and 5,000 ms are all it may take."


async def _examined_plain(behaviour: Behaviour) -> Examination:
    async with probing() as probe, Receiver(behaviour) as receiver:
        return await examine(probe, receiver.url)


async def test_plain_http() -> None:
    """Warn that orders are not encrypted; there is no TLS to check."""
    examined = await _examined_plain(Status(204))
    found = findings(examined)
    assert [one[:2] for one in serious(found)] == [(Check.URL, _WARNING)]
    assert checks(found) == [one for one in _ALL if one not in (Check.TLS, Check.CERTIFICATE)]


async def test_plain_http_on_a_port_for_https() -> None:
    """Say that something else than TLS answers there."""
    async with probing() as probe, Receiver(Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as receiver:
        examined = await examine(probe, f"https://{HOST}:{receiver.port}/")
    ((check, level, text),) = serious(findings(examined))
    assert (check, level, checks(findings(examined))[-1]) == (Check.TLS, _PROBLEM, Check.TLS)
    assert text.startswith("No TLS connection came about")


async def test_a_client_certificate_that_is_missing() -> None:
    """Say that the endpoint wants one: in TLS 1.3 it does so only after the handshake."""
    context = _issued()
    context.verify_mode = ssl.CERT_REQUIRED
    _authority()[0].configure_trust(context)
    async with probing() as probe, Receiver(tls=context) as receiver:
        examined = await examine(probe, f"https://{HOST}:{receiver.port}/")
    ((_, level, text),) = serious(findings(examined))
    assert level is _PROBLEM
    assert text.endswith("set client_certificate on the webhook.")


async def test_a_dead_port() -> None:
    """Say that nothing listens."""
    async with Receiver() as receiver:
        port = receiver.port
    async with probing() as probe:
        examined = await examine(probe, f"https://{HOST}:{port}/")
    assert serious(findings(examined)) == [(Check.CONNECTION, _PROBLEM, _REFUSED)]
    assert [type(step) for step in examined.steps] == [Resolved, Unreached]


async def test_one_of_two_addresses_is_dead() -> None:
    """Warn that every delivery tries the dead one first, without the address of a network that is not public."""
    egress = Egress(LOOPBACK, allow_http=True, resolve=FakeDns(("127.0.0.2", "127.0.0.1")))
    async with probing(egress) as probe, Receiver(tls=_issued()) as receiver:
        found = findings(await examine(probe, f"https://{HOST}:{receiver.port}/"))
    ((check, level, text),) = serious(found)
    assert (check, level) == (Check.CONNECTION, _WARNING)
    assert text.startswith("1 of the 2 addresses took no connection (an address: connection refused: ")
    (dns,) = [finding.message for finding in found if finding.check is Check.DNS]
    assert dns == f"The name {HOST} has 2 addresses: 2 in networks that packhook's operator opened."


async def test_ipv6() -> None:
    """Examine an endpoint that has IPv6 only."""
    async with (
        probing(Egress(BOTH, allow_http=True, resolve=FakeDns(("::1",)))) as probe,
        Receiver(tls=_issued(), address="::1") as receiver,
    ):
        examined = await examine(probe, f"https://{HOST}:{receiver.port}/")
    assert serious(findings(examined)) == []
    assert [step.address for step in examined.steps if isinstance(step, Reached)] == ["::1"]


@pytest.mark.parametrize("failure", [OSError(-2, "no such name"), OSError(-3, "no answer")])
async def test_a_name_that_has_no_address(failure: OSError) -> None:
    """Say that the name could not be looked up; there is nothing else to check."""
    async with probing(Egress(LOOPBACK, resolve=FakeDns(failure))) as probe:
        found = findings(await examine(probe, f"https://{HOST}/"))
    assert [one[:2] for one in serious(found)] == [(Check.DNS, _PROBLEM)]
    assert checks(found) == [Check.URL, Check.DNS]


async def test_no_oracle() -> None:
    """Find one and the same for every address that may not be connected to: in a URL, or of a name."""
    said = set()
    for url, answer in (
        (f"https://{HOST}/", "10.0.0.1"), (f"https://{HOST}/", "169.254.169.254"), (f"https://{HOST}:22/", "127.0.0.1"),
        ("https://127.0.0.1/", "127.0.0.1"), ("https://[::1]/", "::1"),
    ):  # fmt: skip
        async with probing(Egress(resolve=FakeDns((answer,)))) as probe:
            examined = await examine(probe, url)
        assert examined.steps == ()
        said.add(findings(examined))
    assert len(said) == 1
    assert serious(said.pop()) == [(Check.URL, _PROBLEM, "The endpoint's address may not be connected to.")]


async def test_a_url_that_is_none() -> None:
    """Say what is wrong with it."""
    async with probing() as probe:
        examined = await examine(probe, "https://user@shop.test/")
    ((check, level, text),) = serious(findings(examined))
    assert (check, level) == (Check.URL, _PROBLEM)
    assert text.startswith("A URL that is sent to has no user name or password")


async def test_through_the_proxy() -> None:
    """Examine it through the proxy, and show nothing of that; if it fails, that is not the endpoint's fault."""
    async with ConnectProxy() as proxy, Receiver(tls=_issued("127.0.0.1")) as receiver:
        async with probing(through_proxy(proxy)) as probe:
            found = findings(await examine(probe, f"https://127.0.0.1:{receiver.port}/"))
        dead = through_proxy(proxy)
    assert serious(found) == []
    (reached,) = [finding.message for finding in found if finding.check is Check.CONNECTION]
    assert reached.startswith(f"Port {receiver.port} accepts connections through packhook's proxy, after ")
    async with probing(dead) as probe:
        ours = findings(await examine(probe, "https://127.0.0.1:9/"))
    assert [(one.check, one.level) for one in ours] == [(Check.PACKHOOK, _PROBLEM)]
    assert "not the endpoint's fault" in ours[0].fix


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, (Check.SIGNATURE, Level.OK)),
        (200, (Check.SIGNATURE, Level.WARNING)),
        (503, (Check.STATUS, Level.PROBLEM)),
    ],
)
async def test_without_the_secret(status: int, expected: tuple[Check, Level]) -> None:
    """Take a refusal of the signature for what it should be, and warn of an endpoint that accepts it."""
    async with probing() as probe, Receiver(Status(status), tls=_issued()) as receiver:
        found = findings(await examine(probe, f"https://{HOST}:{receiver.port}/", has_secret=False))
    assert expected in [(finding.check, finding.level) for finding in found]
    assert (worst(found) is _PROBLEM) == (status == 503)
