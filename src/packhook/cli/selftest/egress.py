"""Check what egress decides of each host, as a literal, as an answer, and changed between look-ups; no sockets."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Final

from packhook.cli.selftest.rows import Row, row
from packhook.cli.selftest.spellings import (
    BAD,
    GOOD,
    GOOD_IPV4,
    GOOD_IPV6,
    HOSTILE,
    NAMES,
    allowed_ends,
    as_answers,
    denied_ends,
    in_url,
)
from packhook.core.ip_policy import Address
from packhook.delivery.http.egress import KEPT_SECONDS, REFUSAL, Egress, PinnedUrl, Refused

ALLOWED: Final = "allowed"
REFUSED: Final = "refused"
DENIED: Final = f"{REFUSED}: {REFUSAL}"


class Answers:
    """Resolve names to the given answers, one after the other, then always to the last; send no query."""

    def __init__(self, *answers: Sequence[str | Address]) -> None:
        self._answers = [[ip_address(str(address)) for address in answer] for answer in answers]

    async def __call__(self, host: str, port: int) -> Sequence[Address]:  # noqa: ARG002 the signature of a resolver
        """Return the next answer."""
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Seconds:
    """Count seconds that move only by :meth:`let_answers_expire`."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        """Return the current time."""
        return self._now

    def let_answers_expire(self) -> None:
        """Move on, so that no earlier answer counts any more."""
        self._now += KEPT_SECONDS + 1


async def decided() -> list[Row]:
    """Return every row, in the order of the table."""
    return [
        *await _hostile_spellings(),
        *await _literals("denied literal", denied_ends(), DENIED),
        *await _literals("allowed literal", allowed_ends(), ALLOWED),
        *await _answered("denied answer", denied_ends(), DENIED),
        *await _answered("hostile answer", as_answers(), DENIED),
        *await _answered("allowed answer", allowed_ends(), ALLOWED),
        *await _named(),
        *await _rebound(),
    ]


async def _hostile_spellings() -> list[Row]:
    """Try each spelling with a resolver that returns a good address: one that is looked up would be allowed."""
    hostile = [(group, host, REFUSED) for group, hosts in HOSTILE.items() for host in hosts]
    good = [("good", host, ALLOWED) for host in GOOD]
    return [row(group, host, expected, await _decision(host)) for group, host, expected in (*hostile, *good)]


async def _literals(group: str, addresses: Iterable[tuple[str, Address]], expected: str) -> list[Row]:
    return [row(group, f"{address}, {what}", expected, await _decision(in_url(address))) for what, address in addresses]


async def _answered(group: str, addresses: Iterable[tuple[str, Address]], expected: str) -> list[Row]:
    """Try each address as an answer: alone, and before, between and after good ones."""
    rows = []
    for what, address in addresses:
        kind = "A" if address.version == 4 else "AAAA"
        mixed = ([address], [address, GOOD_IPV4], [GOOD_IPV4, GOOD_IPV6, address], [GOOD_IPV6, address, GOOD_IPV4])
        happened = {await _decision("shop.test", answer) for answer in mixed}
        rows.append(row(group, f"{kind} {address}, {what}; alone and mixed", expected, " but also ".join(happened)))
    return rows


async def _named() -> list[Row]:
    return [
        row("name", f"{name} -> {address}", expected, await _decision(name, [address]))
        for name in NAMES
        for address, expected in ((GOOD_IPV4, ALLOWED), ("127.0.0.1", DENIED), ("::1", DENIED))
    ]


async def _rebound() -> list[Row]:
    """Resolve to a good, a bad and a good address: each look-up is checked again."""
    rows = []
    for address in BAD:
        seconds = Seconds()
        egress = Egress(allow_http=True, resolve=Answers([GOOD_IPV4], [address], [GOOD_IPV4]), seconds=seconds)
        happened = []
        for _ in range(3):
            happened.append(decision_words(await egress.check("http://shop.test/")).partition(":")[0])
            seconds.let_answers_expire()
        rows.append(row("rebinding", f"good, {address}, good", "allowed, refused, allowed", ", ".join(happened)))
    return rows


async def _decision(host: str, answer: Sequence[str | Address] = (GOOD_IPV4,)) -> str:
    egress = Egress(allow_http=True, resolve=Answers(answer))
    return decision_words(await egress.check(f"http://{host}/"))


def decision_words(where: PinnedUrl | Refused) -> str:
    """Return a decision in words."""
    return (
        f"{REFUSED}: {where.detail}"
        if isinstance(where, Refused)
        else f"{ALLOWED}: pinned to {', '.join(where.addresses)}"
    )
