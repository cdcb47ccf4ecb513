"""Test the system's resolver, in a namespace from which no name server can be reached."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from packhook.core.ip_policy import Address
from packhook.delivery.http import resolver as resolver_module
from packhook.delivery.http.resolver import SystemResolver
from support.netns import only_loopback


@only_loopback
async def test_finds_every_address_of_a_name_once() -> None:
    """``localhost`` is loopback, whatever the order and number of its addresses."""
    addresses = await SystemResolver()("localhost", 443)
    assert len(addresses) == len(set(addresses)) > 0
    assert all(address.is_loopback for address in addresses)


@only_loopback
async def test_an_unknown_name_is_an_oserror() -> None:
    """Unknown, or not a name at all (an over-long label makes the system's encoder fail)."""
    for name in ("no-such-host.invalid", "a" * 64 + ".invalid"):
        with pytest.raises(socket.gaierror):
            await SystemResolver()(name, 443)


async def test_hung_look_ups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """If all threads are busy the next look-up is refused at once; when one returns, there is room again."""
    may_answer = threading.Event()

    def hang(_host: str, _port: int) -> Sequence[Address]:
        may_answer.wait(10)
        return (ip_address("127.0.0.1"),)

    monkeypatch.setattr(resolver_module, "_addresses", hang)
    monkeypatch.setattr(resolver_module, "MAX_LOOKUPS", 2)
    resolver = SystemResolver()
    hung = [asyncio.create_task(resolver("localhost", 1)) for _ in range(2)]
    await asyncio.wait(hung, timeout=0)
    with pytest.raises(resolver_module.ResolverBusy):
        await resolver("localhost", 1)
    hung[0].cancel()
    may_answer.set()
    assert await hung[1] == (ip_address("127.0.0.1"),)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("dns"))
    assert await resolver("localhost", 1) == (ip_address("127.0.0.1"),)


async def test_a_look_up_that_could_not_begin_takes_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may refuse new threads for a while; afterwards there is room as before."""
    monkeypatch.setattr(resolver_module, "_addresses", lambda _host, _port: (ip_address("127.0.0.1"),))
    monkeypatch.setattr(resolver_module, "MAX_LOOKUPS", 1)
    resolver = SystemResolver()
    with monkeypatch.context() as patched:

        def no_thread(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patched.setattr(threading.Thread, "start", no_thread)
        for _ in range(3):
            with pytest.raises(resolver_module.ResolverBusy):
                await resolver("localhost", 1)
    assert await resolver("localhost", 1) == (ip_address("127.0.0.1"),)
