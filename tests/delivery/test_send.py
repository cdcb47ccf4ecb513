"""Test one request of the HTTP client: its bytes, its connection, its cancellation, and TLS."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import pytest
import trustme
from cryptography import x509

from packhook.core.errors import InvalidSettings
from packhook.core.model import FailureKind, Outcome, Request
from packhook.delivery.attempt import lines
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress
from packhook.testing import Cut, Hang, HangUp, Receiver, Status
from support import http_client
from support.http_client import BODY, HEADERS, LOOPBACK, FakeDns, receiving, request_to, sending
from support.values import replaced

pytestmark = [pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])]

OK: Final = Outcome(status_code=200, headers=(("content-length", "0"),))
SEVEN_NAMES: Final = "other.invalid, *.b.invalid, 127.0.0.9, c.invalid, d.invalid and 2 more"
EXPIRED: Final = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """Open a client that may connect to loopback."""
    async with sending() as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Open a receiver that answers 200."""
    async with receiving() as listening:
        yield listening


def localhost_client(ca_bundle: Path | None = None) -> AbstractAsyncContextManager[HttpClient]:
    """Open a client that resolves ``localhost`` to 127.0.0.1."""
    return sending(Egress(LOOPBACK, allow_http=True, resolve=FakeDns(("127.0.0.1",))), ca_bundle=ca_bundle)


def timeless(outcome: Outcome) -> Outcome:
    """Return the outcome without its duration."""
    return replaced(outcome, duration=0)


async def loop_iterations(count: int) -> None:
    """Run so many iterations of the event loop."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        step = loop.create_future()
        loop.call_soon(step.set_result, None)
        await step


class Authority:
    """Issue certificates from an authority of the test, for receivers and for clients that trust it."""

    def __init__(self, bundle: Path, name: str | None = None) -> None:
        self._ca = trustme.CA(organization_name=name)
        self._bundle = bundle
        self._ca.cert_pem.write_to_path(str(bundle))

    @property
    def name(self) -> str:
        """Return the name in its certificate, as text (RFC 4514)."""
        return x509.load_pem_x509_certificate(self._ca.cert_pem.bytes()).subject.rfc4514_string()

    def receiver(
        self,
        *names: str,
        hostname: str = "",
        expires: datetime | None = None,
        newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ) -> Receiver:
        """Return a receiver with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        before = expires and expires - timedelta(days=30)
        self._ca.issue_cert(*names, not_before=before, not_after=expires).configure_cert(context)
        return Receiver(tls=context, hostname=hostname or names[0])

    def client(self) -> AbstractAsyncContextManager[HttpClient]:
        """Open a client that trusts this authority and resolves ``localhost`` to 127.0.0.1."""
        return localhost_client(self._bundle)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return a certificate authority of the test."""
    return Authority(tmp_path / "authority.pem")


@pytest.mark.usefixtures("scheme")
class TestRequest:
    """Test the bytes that are sent."""

    async def test_goes_out_exactly_as_given(self, client: HttpClient, receiver: Receiver) -> None:
        """A POST of the very bytes, with the given headers and nothing added but what HTTP needs."""
        assert timeless(await client.send(request_to(f"{receiver.url}/hook?a=b%20c"))) == OK
        (got,) = receiver.received
        assert (got.method, got.path, got.body) == ("POST", "/hook?a=b%20c", BODY)
        needed = {"host": receiver.url.partition("://")[2], "content-length": str(len(BODY))}
        assert got.headers == dict(HEADERS) | needed

    async def test_goes_out_by_its_method(self, client: HttpClient, receiver: Receiver) -> None:
        """OPTIONS uses the same kept connection; the request after it is a POST again."""
        options = Request(
            method="OPTIONS", url=f"{receiver.url}/hook?a=b", headers=lines(HEADERS), body=b"", timeout=3_000
        )
        for request in (options, request_to(receiver.url), options):
            assert timeless(await client.send(request)) == OK
        seen = [(got.method, got.path, got.headers["content-length"]) for got in receiver.received]
        asked, posted = ("OPTIONS", "/hook?a=b", "0"), ("POST", "/", str(len(BODY)))
        assert (seen, receiver.connections_made) == ([asked, posted, asked], 1)

    async def test_adds_no_header_of_its_own(self, client: HttpClient, receiver: Receiver) -> None:
        """Not even to a request without headers."""
        await client.send(Request(url=receiver.url, headers="", body=b"x", timeout=3_000))
        assert set(receiver.received[0].headers) == {"host", "content-length"}

    @pytest.mark.parametrize("body", [b"", b"\x00\xff" * 4, b"x" * 2_000_000], ids=["empty", "binary", "2 MB"])
    async def test_carries_any_body(self, client: HttpClient, receiver: Receiver, body: bytes) -> None:
        """Empty, binary or large: unchanged, and without ``Expect: 100-continue``."""
        assert timeless(await client.send(request_to(receiver.url, body=body))) == OK
        assert receiver.received[0].body == body
        assert "expect" not in receiver.received[0].headers

    async def test_keeps_empty_and_non_ascii_header_values(self, client: HttpClient, receiver: Receiver) -> None:
        """An empty value stays a header; text beyond ASCII goes out as UTF-8."""
        headers = (("x-empty", ""), ("x-name", "caf\xe9"), ("x-tab", "a\tb"))
        await client.send(Request(url=receiver.url, headers=lines(headers), body=b"", timeout=3_000))
        got = receiver.received[0].headers
        assert (got["x-empty"], got["x-name"], got["x-tab"]) == ("", "caf\xc3\xa9", "a\tb")

    @pytest.mark.parametrize("character", ["\r", "\n", "\x00"])
    @pytest.mark.parametrize("place", ["name", "value"])
    async def test_with_a_line_break_or_nul_in_a_header_is_not_sent(
        self, client: HttpClient, receiver: Receiver, place: str, character: str
    ) -> None:
        """A header cannot be smuggled in through the value of another."""
        dirty = f"a{character}b: c"
        header = (dirty, "v") if place == "name" else ("x-a", dirty)
        outcome = await client.send(Request(url=receiver.url, headers=lines((header,)), body=b"", timeout=3_000))
        detail = "nothing was sent: a header holds a line break or NUL"
        assert timeless(outcome) == Outcome(failure=FailureKind.INTERNAL, detail=detail)
        assert receiver.connections_made == 0

    async def test_uses_no_proxy_from_the_environment(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only the checked address is connected to; a proxy could connect anywhere."""
        async with Receiver(Status(418)) as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            async with sending() as client:
                assert timeless(await client.send(request_to(receiver.url))) == OK
            assert proxy.connections_made == 0

    async def test_keeps_no_cookie(self, client: HttpClient, receiver: Receiver) -> None:
        """A later request does not send what a response set."""
        receiver.answers(Status(200, {"set-cookie": "session=1; path=/"}))
        await client.send(request_to(receiver.url))
        await client.send(request_to(receiver.url))
        assert "cookie" not in receiver.received[1].headers


@pytest.mark.usefixtures("scheme")
class TestConnections:
    """Test how connections are opened, kept and closed."""

    async def test_are_kept_and_used_again(self, client: HttpClient, receiver: Receiver) -> None:
        """A run of requests to one endpoint pays for one connection."""
        for _ in range(5):
            await client.send(request_to(receiver.url))
        assert (len(receiver.received), receiver.connections_made) == (5, 1)

    async def test_carry_many_requests_at_a_time(self, client: HttpClient, receiver: Receiver) -> None:
        """Each request gets its own response."""
        receiver.answer = lambda received: Status(200, body=received.body)
        bodies = [str(number).encode() for number in range(300)]
        outcomes = await asyncio.gather(
            *(client.send(request_to(receiver.url, timeout=20_000, body=body)) for body in bodies)
        )
        assert [outcome.body for outcome in outcomes] == bodies

    async def test_never_exceed_their_number(self, receiver: Receiver) -> None:
        """Further requests wait for a free connection."""
        async with sending(max_connections=3) as client:
            outcomes = await asyncio.gather(*(client.send(request_to(receiver.url)) for _ in range(30)))
        assert {outcome.status_code for outcome in outcomes} == {200}
        assert receiver.connections_made <= 3

    async def test_closed_by_the_receiver_meanwhile_cost_nothing(self, client: HttpClient, receiver: Receiver) -> None:
        """A kept connection that is dead is replaced within the same attempt."""
        receiver.answers(Status(200), HangUp())
        assert timeless(await client.send(request_to(receiver.url))) == OK
        assert timeless(await client.send(request_to(receiver.url))) == OK
        assert receiver.connections_made == 2

    async def test_with_bytes_after_the_response_are_not_reused(self, client: HttpClient, receiver: Receiver) -> None:
        """A response that was sent ahead cannot become the response to a later request."""
        ahead = Status(200).rendered + Status(200, body=b"ahead").rendered
        receiver.answers(Cut(ahead))
        assert timeless(await client.send(request_to(receiver.url))) == OK
        assert timeless(await client.send(request_to(receiver.url))) == OK
        assert receiver.connections_made == 2

    async def test_too_few_are_our_own_fault(self, receiver: Receiver) -> None:
        """A request that never got a connection is no failure of its receiver."""
        receiver.answers(Hang())
        async with sending(max_connections=1) as client:
            first = asyncio.create_task(client.send(request_to(receiver.url, timeout=600)))
            await receiver.wait_for(1)
            second = await client.send(request_to(receiver.url, timeout=200))
            assert (await first).failure is FailureKind.TIMEOUT
        detail = "packhook had no connection free in time: it may have too few"
        assert timeless(second) == Outcome(failure=FailureKind.SHORTAGE, detail=detail)

    async def test_refused_are_reported(self, client: HttpClient) -> None:
        """Nothing listens: the detail names the cause, and no address."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            outcome = await client.send(request_to(f"{http_client.scheme}://127.0.0.1:{unused.getsockname()[1]}"))
        detail = "connection refused: nothing listens at the endpoint's port"
        assert timeless(outcome) == Outcome(failure=FailureKind.CONNECT, detail=detail)

    async def test_not_accepted_in_time_are_reported(self, client: HttpClient) -> None:
        """The time can run out before there is a connection."""
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for waiting in (first, second):
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            outcome = await client.send(
                request_to(f"{http_client.scheme}://127.0.0.1:{full.getsockname()[1]}", timeout=200)
            )
        detail = "the time ran out while connecting: check that the endpoint is up and no firewall drops the connection"
        assert timeless(outcome) == Outcome(failure=FailureKind.TIMEOUT, detail=detail)

    async def test_that_are_not_read_are_reported(self, client: HttpClient) -> None:
        """The time can run out before the request is sent."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            request = request_to(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=300, body=bytes(32_000_000))
            outcome = await client.send(request)
        detail = "the time ran out while sending the request: the endpoint does not read it"
        assert timeless(outcome) == Outcome(failure=FailureKind.TIMEOUT, detail=detail)

    async def test_try_each_address_of_a_name(self, receiver: Receiver) -> None:
        """A name with two addresses is delivered to if only the second one listens."""
        dns = FakeDns(("127.0.0.2", "127.0.0.1"))
        async with sending(Egress(LOOPBACK, allow_http=True, resolve=dns)) as client:
            outcome = await client.send(request_to(f"{http_client.scheme}://localhost:{receiver.port}"))
        assert timeless(outcome) == OK
        assert receiver.received[0].headers["host"] == f"localhost:{receiver.port}"

    async def test_go_to_an_ipv6_literal(self) -> None:
        """In brackets, and pinned like any other."""
        egress = Egress((ip_network("::1/128"),), allow_http=True)
        async with receiving(address="::1", hostname="[::1]") as receiver, sending(egress) as client:
            assert timeless(await client.send(request_to(receiver.url))) == OK


@pytest.mark.usefixtures("scheme")
class TestAbort:
    """Test that requests in flight end cleanly when they are cancelled, when the client closes, and after a crash."""

    async def test_cancellation_closes_the_connection(self, client: HttpClient, receiver: Receiver) -> None:
        """The task is cancelled, its connection closes, and the client can send again."""
        receiver.answers(Hang())
        sending_task = asyncio.create_task(client.send(request_to(receiver.url)))
        await receiver.wait_for(1)
        sending_task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending_task
        await receiver.wait_until_quiet()
        assert timeless(await client.send(request_to(receiver.url))) == OK

    async def test_cancellation_before_the_first_byte_leaves_nothing(
        self, client: HttpClient, receiver: Receiver
    ) -> None:
        """A request that is cancelled at any step does not harm the next one."""
        for iterations in range(6):
            task = asyncio.create_task(client.send(request_to(receiver.url)))
            await loop_iterations(iterations)
            task.cancel()
            await asyncio.wait([task])
        assert timeless(await client.send(request_to(receiver.url))) == OK

    async def test_close_ends_requests_in_flight(self, receiver: Receiver) -> None:
        """Each gets an outcome: none waits forever, and none is cancelled."""
        receiver.answers(Hang(), Hang())
        async with sending() as client:
            in_flight = [asyncio.create_task(client.send(request_to(receiver.url))) for _ in range(2)]
            await receiver.wait_for(2)
        outcomes = [timeless(outcome) for outcome in await asyncio.gather(*in_flight)]
        assert outcomes == [Outcome(failure=FailureKind.INTERNAL, detail="packhook is stopping")] * 2

    async def test_send_after_close_is_an_outcome(self) -> None:
        """A fault of packhook is a value too."""
        async with sending() as client:
            pass
        outcome = await client.send(request_to("http://127.0.0.1:9"))
        assert outcome.failure is FailureKind.INTERNAL

    async def test_a_crash_is_an_outcome(self, client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
        """An exception ends inside its attempt, and only the log has its text."""

        def fail(url: str) -> None:
            raise ValueError(f"a secret about {url}")

        monkeypatch.setattr(client._egress, "check_cached", fail)
        outcome = await client.send(request_to("http://127.0.0.1:9"))
        assert timeless(outcome) == Outcome(
            failure=FailureKind.INTERNAL, detail="packhook could not send this; its log says why"
        )

    async def test_the_timeout_includes_the_look_up(self) -> None:
        """A name server that does not answer uses up the same total time."""

        async def hang(host: str, port: int) -> list[object]:  # noqa: ARG001 the signature of a resolver
            await asyncio.Event().wait()
            return []

        async with sending(Egress(LOOPBACK, allow_http=True, resolve=hang)) as client:  # type: ignore[arg-type]
            outcome = await client.send(request_to("http://localhost:9", timeout=200))
        detail = "looking up the host name took too long: check that its name servers answer"
        assert timeless(outcome) == Outcome(failure=FailureKind.DNS, detail=detail)
        assert 190 <= outcome.duration < 700


class TestTls:
    """Test which receivers are trusted."""

    async def test_delivers_to_a_certificate_of_the_operators_authority(self, authority: Authority) -> None:
        """The operator's bundle is trusted besides the system's, and the certificate's name is checked."""
        async with authority.receiver("localhost") as receiver, authority.client() as client:
            for _ in range(3):
                assert timeless(await client.send(request_to(receiver.url))) == OK
            assert receiver.connections_made == 1

    async def test_delivers_to_a_certificate_for_an_address(self, authority: Authority) -> None:
        """A literal is checked against the certificate's addresses."""
        async with authority.receiver("127.0.0.1") as receiver, authority.client() as client:
            assert timeless(await client.send(request_to(receiver.url))) == OK

    @pytest.mark.parametrize(
        ("names", "expires", "detail"),
        [
            (("localhost",), EXPIRED, "the certificate expired at 2020-01-01T00:00:00.000Z: renew it"),
            (
                ("other.invalid", "*.b.invalid", "127.0.0.9", "c.invalid", "d.invalid", "e.invalid", "f.invalid"),
                None,
                f"the certificate is not for this host but for {SEVEN_NAMES}: install one that names it",
            ),
        ],
        ids=["expired", "wrong name"],
    )
    async def test_refuses_a_bad_certificate_and_says_what_is_wrong(
        self, authority: Authority, names: tuple[str, ...], expires: datetime | None, detail: str
    ) -> None:
        """Verification is always on; its detail names the cause and the fix."""
        receiver = authority.receiver(*names, hostname="localhost", expires=expires)
        async with receiver, authority.client() as client:
            outcome = await client.send(request_to(receiver.url))
        assert timeless(outcome) == Outcome(failure=FailureKind.TLS, detail=detail)
        assert receiver.received == []

    async def test_refuses_an_unknown_issuer(self, authority: Authority) -> None:
        """A private authority is trusted only through the operator's bundle."""
        async with authority.receiver("localhost") as receiver, localhost_client() as client:
            outcome = await client.send(request_to(receiver.url))
        detail = (
            f"the certificate's issuer ({authority.name}) is unknown: install the full chain, or one from a public "
            "authority"
        )
        assert timeless(outcome) == Outcome(failure=FailureKind.TLS, detail=detail)

    async def test_reports_no_unprintable_character_of_a_certificate(self, tmp_path: Path) -> None:
        """Anyone can write its names, and they appear in logs and API responses."""
        strange = Authority(tmp_path / "authority.pem", "Strange\x07\n\u202eName")
        async with strange.receiver("localhost") as receiver, localhost_client() as client:
            outcome = await client.send(request_to(receiver.url))
        assert outcome.detail.startswith("the certificate's issuer (")
        assert "Strange???Name" in outcome.detail
        assert outcome.detail.isprintable()

    async def test_refuses_a_certificate_that_is_not_valid_yet(self, authority: Authority) -> None:
        """A clock may be wrong on either side."""
        receiver = authority.receiver("localhost", expires=datetime(2990, 1, 1, tzinfo=UTC))
        async with receiver, authority.client() as client:
            outcome = await client.send(request_to(receiver.url))
        detail = "the certificate is not valid yet: check its dates and the server's clock"
        assert timeless(outcome) == Outcome(failure=FailureKind.TLS, detail=detail)

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
    async def test_refuses_versions_before_1_2(self, authority: Authority) -> None:
        """The detail says which version is needed."""
        receiver = authority.receiver("localhost", newest=ssl.TLSVersion.TLSv1_1)
        async with receiver, authority.client() as client:
            outcome = await client.send(request_to(receiver.url))
        detail = (
            "no TLS connection came about: the endpoint must speak TLS 1.2 or newer; if it wants a client certificate, "
            "set client_certificate on the webhook"
        )
        assert timeless(outcome) == Outcome(failure=FailureKind.TLS, detail=detail)

    async def test_to_a_plain_receiver_fails_in_the_handshake(self, authority: Authority) -> None:
        """https to a port that speaks http."""
        async with Receiver() as plain, authority.client() as client:
            outcome = await client.send(request_to(f"https://localhost:{plain.port}"))
        assert outcome.failure is FailureKind.TLS

    async def test_that_never_answers_the_handshake_ends_in_time(self, authority: Authority) -> None:
        """The timeout includes the handshake, and the detail names it."""
        async with Receiver() as silent, authority.client() as client:
            silent.answers(Hang(early=True))
            outcome = await client.send(request_to(f"https://localhost:{silent.port}", timeout=300))
        detail = "the time ran out while agreeing on TLS: check that the endpoint speaks TLS on this port"
        assert timeless(outcome) == Outcome(failure=FailureKind.TIMEOUT, detail=detail)

    @pytest.mark.parametrize("content", [None, b"not PEM"], ids=["missing", "not PEM"])
    async def test_does_not_open_with_a_bad_bundle(self, tmp_path: Path, content: bytes | None) -> None:
        """Failing at the start is better than failing every delivery."""
        bundle = tmp_path / "bundle.pem"
        if content is not None:
            bundle.write_bytes(content)
        with pytest.raises(InvalidSettings, match="ca_bundle: expected a PEM file of certificates"):
            await HttpClient(Egress(), ca_bundle=bundle).open()
