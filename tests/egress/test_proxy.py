"""Test attempts through the operator's proxy: by CONNECT to a checked address, with no socket to another host."""

import asyncio
import socket
import ssl
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import pytest
import trustme

from packhook.core.client_certificate import load_client_certificate
from packhook.core.egress_proxy import Proxy, parse_proxy
from packhook.core.endpoint import parse_endpoint
from packhook.core.model import FailureKind, Outcome
from packhook.delivery.http.egress import REFUSAL, PinnedUrl, Refused
from packhook.delivery.http.egress_proxy import ProxiedEgress
from packhook.testing import (
    AnswerEarly,
    Behaviour,
    ConnectProxy,
    Cut,
    Drip,
    EndlessBody,
    EndlessInformational,
    Garbage,
    Hang,
    HangUp,
    HugeHeaders,
    NulByte,
    Receiver,
    Reset,
    Status,
)
from support.http_client import LOOPBACK, FakeDns, request_to, sending
from support.netns import only_loopback
from support.values import replaced

PUBLIC: Final = "93.184.216.34"
PUBLIC_IPV6: Final = "2606:2800:220:1::1"
OK: Final = Outcome(status_code=200, headers=(("content-length", "0"),))
BLOCKED: Final = Outcome(failure=FailureKind.BLOCKED, detail=REFUSAL)
SHOP: Final = parse_endpoint("http://shop.test/", allow_http=True)
TIMEOUT: Final = 400
LATE: Final = 500


class WatchedProxy(ProxiedEgress):
    """Record the addresses for which a socket is requested."""

    opening: tuple[tuple[str, int], ...] = ()

    def may_open(self, address: str, port: int) -> bool:
        """Record the address, and return the decision of the egress."""
        self.opening += ((address, port),)
        return super().may_open(address, port)


class CarelessProxy(WatchedProxy):
    """Return ``pinned`` for every URL: only the check before each connect protects."""

    pinned: PinnedUrl

    def check_cached(self, url: str) -> PinnedUrl | Refused | None:
        """Let the egress look up the proxy, and return ``pinned``."""
        super().check_cached(url)
        return self.pinned


def through(proxy: ConnectProxy, *answers: tuple[str, ...], credentials: str = "") -> WatchedProxy:
    """Return an egress through this proxy; every name resolves to these answers, one after the other."""
    named = parse_proxy(proxy.url.replace("://", f"://{credentials}@" if credentials else "://"))
    return WatchedProxy(named, LOOPBACK, allow_http=True, resolve=FakeDns(*answers or (("127.0.0.1",),)))


def timeless(outcome: Outcome) -> Outcome:
    """Return the outcome without its duration."""
    return replaced(outcome, duration=0)


async def test_http_uses_a_tunnel_and_keeps_the_host_header() -> None:
    """CONNECT has the checked address, Host the endpoint's name; a second request uses the same tunnel."""
    async with (
        Receiver(hostname="shop.test") as receiver,
        ConnectProxy() as proxy,
        sending(egress := through(proxy)) as client,
    ):
        outcomes = [timeless(await client.send(request_to(receiver.url))) for _ in range(3)]
    assert outcomes == [OK] * 3
    assert [asked.to for asked in proxy.asked] == [f"127.0.0.1:{receiver.port}"]
    assert {got.headers["host"] for got in receiver.received} == {f"shop.test:{receiver.port}"}
    assert (receiver.connections_made, egress.opening) == (1, (("127.0.0.1", proxy.port),))


async def test_tls_is_between_packhook_and_the_endpoint(tmp_path: Path) -> None:
    """SNI and certificate are the endpoint's; the proxy sees an address and bytes."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("shop.test").configure_cert(context)
    asked_names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked_names.append(name)
    async with Receiver(tls=context, hostname="shop.test") as receiver, ConnectProxy() as proxy:
        egress = through(proxy)
        async with sending(egress, ca_bundle=tmp_path / "authority.pem") as client:
            good = timeless(await client.send(request_to(receiver.url)))
            other = timeless(await client.send(request_to(receiver.url.replace("shop", "other"))))
    assert good == OK
    assert other == Outcome(
        failure=FailureKind.TLS,
        detail="the certificate is not for this host but for shop.test: install one that names it",
    )
    assert (asked_names, len(receiver.received)) == (["shop.test", "other.test", "other.test"], 1)


async def test_client_certificates_and_methods_are_for_the_endpoint(tmp_path: Path) -> None:
    """Each request shows its own certificate through the tunnel, and uses its own method."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("shop.test").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    leaf = authority.issue_cert("client.test")
    own = load_client_certificate(leaf.cert_chain_pems[0].bytes().decode(), leaf.private_key_pem.bytes().decode())
    async with (
        Receiver(tls=context, hostname="shop.test") as receiver,
        ConnectProxy() as proxy,
        sending(through(proxy), ca_bundle=tmp_path / "authority.pem") as client,
    ):
        for certificate, method in ((own, "OPTIONS"), (None, "POST"), (own, "POST")):
            asked = replaced(request_to(receiver.url), client_certificate=certificate, method=method)
            assert timeless(await client.send(asked)) == OK
    seen = [(got.method, got.certificate is not None) for got in receiver.received]
    assert seen == [("OPTIONS", True), ("POST", False), ("POST", True)]
    assert len(proxy.asked) == 2


async def test_a_required_client_certificate_is_reported_through_the_proxy_too(tmp_path: Path) -> None:
    """The endpoint requires it, not the proxy."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("shop.test").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    async with (
        Receiver(tls=context, hostname="shop.test") as receiver,
        ConnectProxy() as proxy,
        sending(through(proxy), ca_bundle=tmp_path / "authority.pem") as client,
    ):
        outcome = await client.send(request_to(receiver.url))
    assert outcome.detail.endswith("if it wants a client certificate, set client_certificate on the webhook")


async def test_headers_of_the_event_are_for_the_endpoint_only() -> None:
    """The proxy gets no signature, no body and no name; the endpoint gets no password."""
    async with (
        Receiver(hostname="shop.test") as receiver,
        ConnectProxy(credentials="us er:p@ss") as proxy,
        sending(through(proxy, credentials="us%20er:p%40ss")) as client,
    ):
        assert timeless(await client.send(request_to(receiver.url))) == OK
    (asked,) = proxy.asked
    assert set(asked.headers) == {"host", "proxy-authorization", "proxy-connection"}
    assert asked.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert not any("proxy" in name for name in receiver.received[0].headers)


async def test_proxy_variables_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the proxy and the exceptions."""
    async with Receiver() as receiver, ConnectProxy() as proxy, ConnectProxy() as other:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "*")
        async with sending(through(proxy)) as client:
            assert timeless(await client.send(request_to(receiver.url))) == OK
        async with sending() as client:
            assert timeless(await client.send(request_to(receiver.url))) == OK
    assert (len(proxy.asked), other.connections_made) == (1, 0)


@only_loopback
async def test_a_denied_address_is_refused_before_the_proxy_is_connected() -> None:
    """Literals and names alike: the proxy could reach internal hosts, and is not asked to."""
    hosts = ("127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "shop.test")
    async with ConnectProxy() as proxy:
        egress = WatchedProxy(parse_proxy(proxy.url), allow_http=True, resolve=FakeDns((PUBLIC, "10.0.0.1")))
        async with sending(egress) as client:
            outcomes = [timeless(await client.send(request_to(f"http://{host}/"))) for host in hosts]
    assert outcomes == [BLOCKED] * len(hosts)
    assert (egress.opening, proxy.connections_made) == ((), 0)


@only_loopback
async def test_a_public_endpoint_is_reached_at_its_checked_address() -> None:
    """CONNECT never has a name, which the proxy would resolve itself; a literal IPv6 address is in brackets."""
    hosts = {"shop.test": f"{PUBLIC}:80", f"[{PUBLIC_IPV6}]": f"[{PUBLIC_IPV6}]:80", PUBLIC: f"{PUBLIC}:80"}
    async with Receiver() as receiver, ConnectProxy(lambda _host, _port: ("127.0.0.1", receiver.port)) as proxy:
        egress = WatchedProxy(parse_proxy(proxy.url), allow_http=True, resolve=FakeDns((PUBLIC,)))
        async with sending(egress) as client:
            outcomes = [timeless(await client.send(request_to(f"http://{host}/"))) for host in hosts]
    assert outcomes == [OK] * 3
    assert [asked.to for asked in proxy.asked] == list(hosts.values())
    assert [got.headers["host"] for got in receiver.received] == list(hosts)
    assert set(egress.opening) == {("127.0.0.1", proxy.port)}


@only_loopback
async def test_a_rebound_name_does_not_get_the_kept_tunnel() -> None:
    """Good, another good one, denied: a new tunnel to the new address, and then none."""
    now = [0.0]
    dns = FakeDns((PUBLIC,), ("127.0.0.1",), ("1.1.1.1",), ("127.0.0.1",), ("169.254.169.254",))
    async with Receiver() as receiver, ConnectProxy(lambda _host, _port: ("127.0.0.1", receiver.port)) as proxy:
        named = Proxy(f"http://proxy.test:{proxy.port}", proxy.port)
        egress = WatchedProxy(named, allow_http=True, resolve=dns, seconds=lambda: now[0])
        async with sending(egress) as client:
            outcomes = []
            for _ in range(3):
                outcomes.append(timeless(await client.send(request_to("http://shop.test/"))))
                now[0] += 60
    assert outcomes == [OK, OK, BLOCKED]
    assert [asked.to for asked in proxy.asked] == [f"{PUBLIC}:80", "1.1.1.1:80"]


@only_loopback
@pytest.mark.parametrize("address", ["127.0.0.2", "10.0.0.1", PUBLIC, "::1", PUBLIC_IPV6])
async def test_a_socket_is_opened_only_to_the_proxy(address: str) -> None:
    """Even if the URL passed, and the proxy's name is pinned to another address."""
    everywhere = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    async with ConnectProxy(hostname="proxy.test") as proxy:
        dns = FakeDns(("127.0.0.1",))
        egress = CarelessProxy(parse_proxy(proxy.url), everywhere, allow_http=True, resolve=dns)
        egress.pinned = PinnedUrl(SHOP, (PUBLIC,), (address,))
        async with sending(egress) as client:
            await egress.check("http://1.1.1.1/")
            outcome = timeless(await client.send(request_to("http://shop.test/")))
    assert (outcome, egress.opening, proxy.connections_made) == (BLOCKED, ((address, proxy.port),), 0)


async def test_only_the_proxys_own_port_may_be_opened() -> None:
    """Other services of the same host are denied."""
    async with ConnectProxy() as proxy:
        egress = through(proxy)
        await egress.check("http://127.0.0.1/")
        may = [egress.may_open(*place) for place in (("127.0.0.1", proxy.port), ("127.0.0.1", 80), ("", proxy.port))]
    assert may == [True, False, False]


async def test_a_check_without_an_address_for_the_proxy_sends_nothing() -> None:
    """Sending nothing is better than a name that the proxy resolves."""
    async with ConnectProxy() as proxy:
        egress = CarelessProxy(parse_proxy(proxy.url), allow_http=True)
        egress.pinned = PinnedUrl(SHOP, ("127.0.0.1",))
        async with sending(egress) as client:
            outcome = await client.send(request_to("http://shop.test/"))
    assert (outcome.failure, proxy.asked) == (FailureKind.INTERNAL, [])


async def test_the_name_of_the_proxy_is_looked_up() -> None:
    """It may resolve to a private address, because the operator chose it."""
    async with (
        Receiver() as receiver,
        ConnectProxy(hostname="proxy.internal") as proxy,
        sending(egress := through(proxy, ("127.0.0.1",))) as client,
    ):
        assert timeless(await client.send(request_to(receiver.url))) == OK
    assert egress.opening == (("127.0.0.1", proxy.port),)


@pytest.mark.parametrize(
    "answer", [socket.gaierror(socket.EAI_NONAME, "no such name"), ()], ids=["no such name", "no address"]
)
async def test_a_proxy_without_an_address_is_no_failure_of_the_endpoint(answer: OSError | tuple[str, ...]) -> None:
    """The failure is that of the proxy."""
    egress = ProxiedEgress(
        parse_proxy("http://proxy.internal:3128"), LOOPBACK, allow_http=True, resolve=FakeDns(answer)
    )
    async with sending(egress) as client:
        outcome = timeless(await client.send(request_to("http://127.0.0.1:9/")))
    detail = "packhook's proxy could not be found: its host name has no address, or was not looked up in time"
    assert outcome == Outcome(failure=FailureKind.PROXY, detail=detail)


async def test_the_next_address_is_tried_if_the_proxy_cannot_reach_one() -> None:
    """IPv4 first, three at most; the proxy's responses are not the endpoint's."""
    async with Receiver(hostname="shop.test") as receiver, ConnectProxy() as proxy:
        proxy.answers(Status(502), Status(504))
        dns = (PUBLIC_IPV6, "127.0.0.3", "127.0.0.2", "127.0.0.1", "127.0.0.4")
        egress = WatchedProxy(
            parse_proxy(proxy.url), (*LOOPBACK, ip_network("::/0")), allow_http=True, resolve=FakeDns(dns)
        )
        async with sending(egress) as client:
            assert timeless(await client.send(request_to(receiver.url))) == OK
            proxy.answers(*[Status(503)] * 3)
            failed = await client.send(request_to(f"http://other.test:{receiver.port}/"))
    asked = [asked.to.rpartition(":")[0] for asked in proxy.asked]
    assert asked == ["127.0.0.3", "127.0.0.2", "127.0.0.1"] * 2
    assert failed.failure is FailureKind.TUNNEL


NOT_HTTP: Final = "the proxy's response is not valid HTTP"
CLOSED: Final = "the exchange with the proxy broke off, and no way to the endpoint was opened"
LARGE: Final = "the proxy's response has headers that are too large"
CONNECTING: Final = (
    "the time ran out while the proxy connected to the endpoint: check that it is up and no firewall drops it"
)
FORBIDDEN: Final = (
    "the proxy does not let packhook connect to the endpoint, it answered 403 Forbidden: "
    "the operator can allow it there"
)
FAILURES: Final[dict[str, tuple[Behaviour, FailureKind, str]]] = {
    "403": (Status(403, close=True), FailureKind.TUNNEL, FORBIDDEN),
    "407": (Status(407), FailureKind.PROXY, "the proxy did not accept packhook's user name and password"),
    "502": (
        Status(502), FailureKind.TUNNEL,
        "the proxy could not connect to the endpoint, it answered 502 Bad Gateway: check that the endpoint is up",
    ),
    "504 without end": (
        EndlessBody(504), FailureKind.TUNNEL,
        "the proxy could not connect to the endpoint, it answered 504 Gateway Timeout: check that the endpoint is up",
    ),
    "405": (
        Status(405, body=b"no"), FailureKind.TUNNEL,
        "the proxy opened no way to the endpoint, it answered 405 Method Not Allowed",
    ),
    "redirect": (
        Status(302, {"location": "http://10.0.0.1/"}), FailureKind.TUNNEL,
        "the proxy opened no way to the endpoint, it answered 302 Found",
    ),
    "1xx": (
        EndlessInformational(), FailureKind.TUNNEL,
        "the proxy opened no way to the endpoint, it answered 103 Early Hints",
    ),
    "hangs": (Hang(), FailureKind.TIMEOUT, CONNECTING),
    "drips": (Drip("head"), FailureKind.TIMEOUT, CONNECTING),
    "closes": (HangUp(), FailureKind.TUNNEL, CLOSED),
    "resets": (Reset(b""), FailureKind.TUNNEL, CLOSED),
    "closes in its head": (Cut(b"HTTP/1.1 200 OK\r\nx: 1\r\n"), FailureKind.TUNNEL, CLOSED),
    "speaks another protocol": (Garbage(), FailureKind.TUNNEL, NOT_HTTP),
    "a page of HTTP/0.9": (Garbage(b"<html>hello</html>"), FailureKind.TUNNEL, NOT_HTTP),
    "bytes": (Garbage(bytes(range(256)) * 16), FailureKind.TUNNEL, NOT_HTTP),
    "NUL in a header": (NulByte("head"), FailureKind.TUNNEL, NOT_HTTP),
    "headers without end": (HugeHeaders(300_000), FailureKind.TUNNEL, LARGE),
    "a header line without end": (Cut(b"HTTP/1.1 200 OK\r\nx: " + b"." * 400_000), FailureKind.TUNNEL, LARGE),
}  # fmt: skip


@pytest.mark.parametrize(("behaviour", "failure", "detail"), FAILURES.values(), ids=FAILURES)
async def test_failures_of_the_proxy_have_their_own_detail(
    behaviour: Behaviour, failure: FailureKind, detail: str
) -> None:
    """They end within the deadline, and the next attempt is unharmed. A response may take a moment."""
    limit = TIMEOUT if failure is FailureKind.TIMEOUT else 3_000
    async with Receiver() as receiver, ConnectProxy() as proxy, sending(through(proxy)) as client:
        proxy.answers(behaviour)
        outcome = await client.send(request_to(receiver.url, timeout=limit))
        again = timeless(await client.send(request_to(receiver.url)))
    assert outcome.duration < limit + LATE
    assert timeless(outcome) == Outcome(failure=failure, detail=detail)
    assert (again, len(receiver.received)) == (OK, 1)


async def test_a_refused_connection_to_the_proxy_is_no_failure_of_the_endpoint() -> None:
    """Nothing was sent, and the failure is that of the proxy."""
    async with ConnectProxy() as proxy:
        egress = through(proxy)
    async with Receiver() as receiver, sending(egress) as client:
        outcome = timeless(await client.send(request_to(receiver.url)))
    detail = "packhook could not connect to its proxy: the connection was refused"
    assert outcome == Outcome(failure=FailureKind.PROXY, detail=detail)
    assert receiver.connections_made == 0


async def test_a_proxy_that_accepts_no_connection_fails_within_the_deadline() -> None:
    """Its backlog is full, so the connection is never established."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(full.getsockname())
        egress = ProxiedEgress(parse_proxy(f"http://127.0.0.1:{full.getsockname()[1]}"), LOOPBACK, allow_http=True)
        async with sending(egress) as client:
            outcome = await client.send(request_to("http://127.0.0.1:9/", timeout=TIMEOUT))
        for connection in waiting:
            connection.close()
    detail = "packhook could not connect to its proxy: it did not answer in time"
    assert timeless(outcome) == Outcome(failure=FailureKind.PROXY, detail=detail)
    assert outcome.duration < TIMEOUT + LATE


async def test_failures_of_the_endpoint_are_the_same_through_the_proxy() -> None:
    """Once the tunnel is open, every failure is the endpoint's."""
    async with Receiver() as receiver, ConnectProxy() as proxy, sending(through(proxy)) as client:
        receiver.answers(HangUp(), Status(500), Garbage(), AnswerEarly(Status(202, close=True)))
        outcomes = [await client.send(request_to(receiver.url, timeout=TIMEOUT)) for _ in range(3)]
        secure = await client.send(request_to(receiver.url.replace("http:", "https:"), timeout=TIMEOUT))
    assert [outcome.failure or outcome.status_code for outcome in outcomes] == [
        FailureKind.RESET,
        500,
        FailureKind.PROTOCOL,
    ]
    assert secure.failure is FailureKind.TLS


async def test_many_concurrent_attempts_succeed() -> None:
    """Each of many endpoints has its own tunnel."""
    async with Receiver() as receiver, ConnectProxy() as proxy, sending(through(proxy)) as client:
        urls = [f"http://shop{number % 10}.test:{receiver.port}/" for number in range(100)]
        outcomes = await asyncio.gather(*(client.send(request_to(url)) for url in urls))
    assert {timeless(outcome) for outcome in outcomes} == {OK}
    assert {asked.to for asked in proxy.asked} == {f"127.0.0.1:{receiver.port}"}


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.internal:3128", Proxy("http://proxy.internal:3128", 3128)),
        ("HTTP://Proxy.Internal:3128/", Proxy("http://proxy.internal:3128", 3128)),
        ("http://10.0.0.5:80", Proxy("http://10.0.0.5:80", 80)),
        ("http://[::1]:3128", Proxy("http://[::1]:3128", 3128)),
        ("http://user:p%40ss%3A@proxy:3128", Proxy("http://proxy:3128", 3128, "user", "p@ss:")),
        ("http://:only@proxy:3128", Proxy("http://proxy:3128", 3128, "", "only")),
    ],
)
def test_a_proxy_is_read_from_its_url(text: str, proxy: Proxy) -> None:
    """User and password are percent-encoded, so they may have any printable character."""
    assert parse_proxy(text) == proxy
    assert "p@ss" not in repr(proxy)


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("proxy.internal:3128", "'proxy.internal:3128'"),
        ("https://proxy:3128", "'https://proxy:3128'"),
        ("socks5://user:geheim@proxy:1080", "'socks5://***@proxy:1080'"),
        ("http://proxy", "'http://proxy'"),
        ("http://user:geheim@proxy", "'http://***@proxy'"),
        ("http://user:geh/eim@proxy:3128", "'http://***@proxy:3128'"),
        ("http://geheim@proxy:3128", "'http://***@proxy:3128'"),
        ("user:geheim@proxy:3128", "'***@proxy:3128'"),
        ("http://proxy:0", "'http://proxy:0': expected a port from 1 to 65535"),
        ("http://0x7f.1:3128", "a numeric host is written as four decimal numbers"),
        ("http://proxy:3128/path", "'http://proxy:3128/path'"),
        ("http://us%3Aer:geheim@proxy:3128", "a user name with a colon"),
        ("http://user:geh%0Aeim@proxy:3128", "control characters"),
        (3128, "3128"),
    ],
)  # fmt: skip
def test_invalid_proxies_are_refused(value: object, got: str) -> None:
    """The message says what was expected and what was given, without the password."""
    with pytest.raises(ValueError, match=r"expected a proxy such as http://HOST:PORT or") as refused:
        parse_proxy(value)
    assert got in str(refused.value)
    assert "geh" not in str(refused.value)
