"""What the tests of sending share: a sender that may connect to loopback, and requests for it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

from packhook.core.ip_policy import Address
from packhook.core.model import Request
from packhook.delivery.egress import Egress
from packhook.delivery.headers import lines
from packhook.delivery.send import Sender

LOOPBACK: Final = (ip_network("127.0.0.0/8"),)
BODY: Final = b'{"id":"evt_1","data":{"note":"\xc3\xa9"}}'
only_libcurl = False  # which way the senders of a test go; the fixture ``way`` sets it
HEADERS: Final = (("content-type", "application/json"), ("user-agent", "packhook/test"), ("webhook-id", "evt_1"))


class FakeDns:
    """A resolver that gives the next of the answers it was told; the last one stays. It remembers who asked."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:  # noqa: ARG002 a resolver is given both
        """The next answer."""
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return [ip_address(text) for text in answer]


class WatchedEgress(Egress):
    """An egress that remembers for which addresses a socket was to be opened."""

    opening: tuple[str, ...] = ()

    def may_open(self, address: str, port: int) -> bool:
        """As ever, but remembered."""
        self.opening += (address,)
        return super().may_open(address, port)


@asynccontextmanager
async def sending(
    egress: Egress | None = None, *, ca_bundle: Path | None = None, max_connections: int = 1024
) -> AsyncIterator[Sender]:
    """An open sender; without an egress of its own it may connect to 127.0.0.0/8, also by plain http."""
    sender = Sender(
        egress or Egress(LOOPBACK, allow_http=True),
        ca_bundle=ca_bundle,
        max_connections=max_connections,
        only_libcurl=only_libcurl,
    )
    await sender.open()
    try:
        yield sender
    finally:
        await sender.close()


def request_to(url: str, *, timeout: int = 3_000, body: bytes = BODY) -> Request:
    """A request like those of attempts; ``timeout`` in milliseconds."""
    return Request(url=url, headers=lines(HEADERS), body=body, timeout=timeout)
