"""Say what was found when an endpoint was examined: one finding for each check, with its fix. Pure.

::

    URL ─▶ DNS ─▶ connection ─▶ TLS ─▶ certificate ─▶ redirect ─▶ method ─▶ status ─▶ signature, latency, clock

The first check that finds a problem which ends the exchange is the last one. An address that may not be connected to
has one and the same finding, whether a name has it or the URL: what else was found out about it is not reported.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from msgspec import Struct

from packhook.core.clock import DAY, MINUTE, SECOND, to_rfc3339
from packhook.core.connection_steps import ConnectionStep, Reached, Resolved, ShownCertificate, TlsAgreed, Unreached
from packhook.core.endpoint import Endpoint, InvalidEndpoint, parse_endpoint
from packhook.core.ip_policy import may_connect
from packhook.core.model import FailureKind, Outcome
from packhook.core.retry_policy import named, parse_http_date

EXPIRES_SOON: Final = 14 * DAY
SKEWED: Final = 30 * SECOND
"""A clock that is off by more is worth a warning."""
TOLERANCE: Final = 5 * MINUTE
"""By how much the timestamp of a signature may be off for receivers that follow Standard Webhooks."""
SLOW_SHARE: Final = 3
"""An attempt that takes more than a third of its time is slow."""
MAX_SHOWN_ADDRESSES: Final = 5

_OURS: Final = (FailureKind.INTERNAL, FailureKind.SHORTAGE, FailureKind.PROXY)
_NOT_POST: Final = (405, 501)
_REFUSALS: Final = (400, 401, 403)
_HTML: Final = ("text/html", "application/xhtml+xml")

_CERTIFICATE_FIX: Final = (
    "Install a certificate for the endpoint's host name from a public authority, with its full chain, and reload the "
    "server."
)
_FIX_BY_KIND: Final = {
    FailureKind.BLOCKED: "Use an endpoint on the public internet; packhook's operator can open a private network "
    "with the setting egress_allow.",
    FailureKind.DNS: "Correct the host name, or publish an A or AAAA record for it.",
    FailureKind.CONNECT: "Start the receiver, open its firewall for packhook, or correct the URL's host and port.",
    FailureKind.TLS: "Check that the endpoint speaks TLS 1.2 or newer on this port; its server's log says more.",
    FailureKind.TIMEOUT: "Check that the endpoint is up, that no firewall drops its packets, and that it responds "
    "before it does the work.",
    FailureKind.RESET: "Look into the logs of the endpoint and of each proxy before it: one of them closes the "
    "connection.",
    FailureKind.PROTOCOL: "Check that an HTTP/1.1 server listens at this port; if it speaks TLS, the URL begins with "
    "https://.",
    FailureKind.TUNNEL: "Check that the endpoint is up; packhook's operator can see what the proxy refuses.",
}
_REDIRECT_FIX: Final = (
    "Set the endpoint to the URL that it redirects to: a redirect is not followed, for it could lead anywhere."
)
_METHOD_FIX: Final = "Let the endpoint accept POST at this path, or correct its URL."
_OUR_FIX: Final = "This is not the endpoint's fault: try again, and show it to packhook's operator if it stays."
_STATUS_FIX: Final = {
    400: "Check that the endpoint accepts this JSON body, and verifies the signature with the webhook's secret over "
    "the body's exact bytes.",
    401: "Check that the endpoint verifies with the webhook's secret, over the body's exact bytes; if a gateway wants "
    "credentials, add them as a header of the webhook.",
    403: "Let packhook's requests pass the endpoint's firewall and access rules; if it verifies signatures, check that "
    "it has the webhook's secret.",
    404: "Correct the path of the endpoint's URL.",
    410: "Correct the endpoint's URL, or disable the webhook: 410 says that it is gone for good.",
    413: "Let the endpoint, and each proxy before it, accept bodies of at least 256 KiB.",
    429: "Let the endpoint accept more requests, or set rate_limit on the webhook.",
    502: "Look into the proxy's log: the application behind it did not respond.",
    503: "Wait until the endpoint is back, or give it more capacity.",
    504: "Look into the proxy's log: the application behind it is too slow. Respond first, and do the work afterwards.",
}
_ANY_STATUS_FIX: Final = "Look into the endpoint's log; it should respond with 2xx as soon as it has the event."


class Level(StrEnum):
    """Name how serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(StrEnum):
    """Name what was checked."""

    URL = "url"
    DNS = "dns"
    CONNECTION = "connection"
    TLS = "tls"
    CERTIFICATE = "certificate"
    REDIRECT = "redirect"
    METHOD = "method"
    STATUS = "status"
    SIGNATURE = "signature"
    LATENCY = "latency"
    CLOCK = "clock"
    PACKHOOK = "packhook"  # packhook itself could not examine the endpoint


class Finding(Struct, frozen=True, kw_only=True):
    """Hold what one check found: a sentence, and what to do about it ("" where nothing is to be done)."""

    check: Check
    level: Level
    message: str
    fix: str = ""


class Examination(Struct, frozen=True, kw_only=True):
    """Hold what came of examining an endpoint: the steps of the connection, and the outcome of one POST.

    ``error_message`` says why the outcome is a failure, "" if it is none. ``has_secret``: the request was signed with
    the endpoint's own secret, otherwise with one that it cannot know. ``timeout`` is what an attempt may take, in
    milliseconds.
    """

    url: str
    allow_http: bool
    steps: tuple[ConnectionStep, ...]
    outcome: Outcome
    error_message: str
    started_at: int
    timeout: int
    has_secret: bool = True


def fix_of(error_code: str, status_code: int | None, error_message: str = "") -> str:
    """Return what to do about a failed attempt, by its error and the status of its response; "" if it did not fail."""
    if not error_code:
        return ""
    if error_code == FailureKind.REDIRECT:
        return _REDIRECT_FIX
    if status_code is not None:
        return _METHOD_FIX if status_code in _NOT_POST else _STATUS_FIX.get(status_code, _ANY_STATUS_FIX)
    if error_code == FailureKind.TLS and "certificate" in error_message:
        return _CERTIFICATE_FIX
    known = error_code in tuple(FailureKind)
    return _FIX_BY_KIND.get(FailureKind(error_code), _OUR_FIX) if known else _OUR_FIX


def findings(examined: Examination) -> tuple[Finding, ...]:
    """Return the finding of each check that was made, in order."""
    failure = examined.outcome.failure
    if failure in _OURS:
        return (_finding(Check.PACKHOOK, Level.PROBLEM, examined.error_message, _OUR_FIX),)
    try:
        endpoint = parse_endpoint(examined.url, allow_http=examined.allow_http)
    except InvalidEndpoint as error:
        return (_finding(Check.URL, Level.PROBLEM, str(error), "Correct the endpoint's URL."),)
    if failure is FailureKind.BLOCKED:
        return (_finding(Check.URL, Level.PROBLEM, examined.error_message, _FIX_BY_KIND[failure]),)
    return tuple(_findings(examined, endpoint))


def worst(found: Sequence[Finding]) -> Level:
    """Return the level of the most serious finding."""
    levels = {finding.level for finding in found}
    return next((level for level in (Level.PROBLEM, Level.WARNING) if level in levels), Level.OK)


def summary_of(found: Sequence[Finding]) -> str:
    """Return the result in one sentence."""
    serious = [finding for finding in found if finding.level is Level.PROBLEM]
    warnings = [finding for finding in found if finding.level is Level.WARNING]
    if serious:
        return f"Deliveries to this endpoint fail. {serious[0].message}"
    checks = {finding.check for finding in found}
    if Check.SIGNATURE in checks and Check.STATUS not in checks:
        return "The endpoint can be reached, and refuses a wrong signature: give its secret to see what it accepts."
    if warnings:
        return f"Deliveries to this endpoint arrive. Worth attention: {warnings[0].message}"
    return "Deliveries to this endpoint arrive, and nothing is wrong with it."


def _findings(examined: Examination, endpoint: Endpoint) -> Iterator[Finding]:
    yield _url(endpoint)
    resolved = next((step for step in examined.steps if isinstance(step, Resolved)), None)
    if resolved is None:
        yield _failed(Check.DNS, examined)
        return
    yield _dns(endpoint, resolved)
    reached = [step for step in examined.steps if isinstance(step, Reached)]
    if not reached:
        yield _failed(Check.CONNECTION, examined)
        return
    yield _connection(examined, endpoint, resolved, reached[-1])
    if endpoint.scheme == "https":
        agreed = next((step for step in examined.steps if isinstance(step, TlsAgreed)), None)
        if agreed is None:
            yield _failed(Check.TLS, examined)
            return
        yield from _tls(examined, endpoint, agreed)
        if not agreed.is_trusted or examined.outcome.failure is FailureKind.TLS:
            return
    yield from _response(examined)


def _url(endpoint: Endpoint) -> Finding:
    if endpoint.scheme == "http":
        return _finding(
            Check.URL, Level.WARNING, "the endpoint is plain http: events cross the network unencrypted",
            "Serve the endpoint over https, and change its URL.",
        )  # fmt: skip
    return _finding(Check.URL, Level.OK, "the URL is valid, and packhook may connect to its host")


def _dns(endpoint: Endpoint, resolved: Resolved) -> Finding:
    if resolved.is_literal:
        return _finding(Check.DNS, Level.OK, "the URL has an address, so no name is looked up")
    public = [address for address in resolved.addresses if is_public(address)]
    shown = public[:MAX_SHOWN_ADDRESSES]
    count = len(resolved.addresses)
    text = f"the name {endpoint.host} has {'one address' if count == 1 else f'{count} addresses'}"
    if len(shown) < count:
        opened = count - len(public)
        parts = [*shown, *(["more"] if len(public) > len(shown) else [])]
        parts += [f"{opened} in networks that packhook's operator opened"] if opened else []
        return _finding(Check.DNS, Level.OK, f"{text}: {', '.join(parts)}")
    return _finding(Check.DNS, Level.OK, f"{text}: {', '.join(shown)}")


def is_public(address: str) -> bool:
    """Return whether an address may be shown to everybody: one on the public internet."""
    return may_connect(ipaddress.ip_address(address))


def _connection(examined: Examination, endpoint: Endpoint, resolved: Resolved, reached: Reached) -> Finding:
    unreached = [step for step in examined.steps if isinstance(step, Unreached)]
    if unreached:
        failed = "; ".join(f"{_shown(step.address)}: {step.reason}" for step in unreached[:MAX_SHOWN_ADDRESSES])
        return _finding(
            Check.CONNECTION, Level.WARNING,
            f"{len(unreached)} of the {len(resolved.addresses)} addresses took no connection ({failed}), so every "
            "delivery tries another one afterwards",
            "Make the endpoint reachable at each address of its name, or remove the DNS records of the others.",
        )  # fmt: skip
    way = " through packhook's proxy" if resolved.is_proxied else ""
    return _finding(
        Check.CONNECTION, Level.OK, f"port {endpoint.port} accepts connections{way}, after {reached.elapsed:,} ms"
    )


def _shown(address: str) -> str:
    return address if is_public(address) else "an address"


def _tls(examined: Examination, endpoint: Endpoint, agreed: TlsAgreed) -> Iterator[Finding]:
    if agreed.is_trusted and examined.outcome.failure is FailureKind.TLS:
        yield _finding(Check.TLS, Level.PROBLEM, examined.error_message, _FIX_BY_KIND[FailureKind.TLS])
    else:
        yield _finding(Check.TLS, Level.OK, f"{agreed.version} was agreed on, after {agreed.elapsed:,} ms")
    if not agreed.is_trusted:
        yield _finding(Check.CERTIFICATE, Level.PROBLEM, examined.error_message, _CERTIFICATE_FIX)
    elif agreed.chain:
        yield _certificate(endpoint, agreed.chain, examined.started_at)


def _certificate(endpoint: Endpoint, chain: tuple[ShownCertificate, ...], now: int) -> Finding:
    live = [certificate for certificate in chain if certificate.expires_at > now]  # it is trusted without the others
    first = min(live or chain, key=lambda certificate: certificate.expires_at)
    left = first.expires_at - now
    which = "the certificate" if first is chain[0] else f"a certificate of its chain ({first.subject})"
    until = f"at {to_rfc3339(first.expires_at)[:19]}Z"
    if left < EXPIRES_SOON:
        days = left // DAY
        when = "within a day" if days < 1 else "in 1 day" if days == 1 else f"in {days} days"
        return _finding(
            Check.CERTIFICATE, Level.WARNING, f"{which} expires {when}, {until}",
            "Renew it, and check that it is renewed by itself.",
        )  # fmt: skip
    return _finding(
        Check.CERTIFICATE, Level.OK,
        f"the certificate is for {endpoint.host}, its issuer ({chain[0].issuer}) is trusted, and it expires {until}",
    )  # fmt: skip


def _response(examined: Examination) -> Iterator[Finding]:
    outcome = examined.outcome
    status = outcome.status_code or 0
    if outcome.failure is not None:
        is_slow = outcome.failure is FailureKind.TIMEOUT
        yield _failed(Check.LATENCY if is_slow else Check.STATUS, examined)
    elif 300 <= status < 400:
        yield _finding(
            Check.REDIRECT, Level.PROBLEM, examined.error_message, _REDIRECT_FIX,
        )  # fmt: skip
    else:
        yield _finding(Check.REDIRECT, Level.OK, "the endpoint does not redirect")
        yield from _status(examined, status)
    if outcome.failure is None:
        yield _latency(examined)
        yield from _clock(examined)


def _status(examined: Examination, status: int) -> Iterator[Finding]:
    if status in _NOT_POST:
        yield _finding(
            Check.METHOD, Level.PROBLEM, examined.error_message, _METHOD_FIX,
        )  # fmt: skip
        return
    yield _finding(Check.METHOD, Level.OK, "the endpoint accepts POST")
    if not examined.has_secret:
        yield from _status_without_secret(examined, status)
    elif examined.error_message:
        fix = _STATUS_FIX.get(status, _ANY_STATUS_FIX)
        yield _finding(Check.STATUS, Level.PROBLEM, examined.error_message, fix)
    else:
        yield _success(examined, status)


def _status_without_secret(examined: Examination, status: int) -> Iterator[Finding]:
    """Judge the response to a request whose signature cannot be right: a refusal is what it deserves."""
    if status in _REFUSALS:
        yield _finding(
            Check.SIGNATURE, Level.OK,
            f"the endpoint refused a signature that is not its webhook's ({named(status)}), as it should",
        )  # fmt: skip
    elif examined.error_message:
        yield _finding(Check.STATUS, Level.PROBLEM, examined.error_message, _STATUS_FIX.get(status, _ANY_STATUS_FIX))
    else:
        yield _success(examined, status)
        yield _finding(
            Check.SIGNATURE, Level.WARNING, "the endpoint accepted an event whose signature is not its webhook's",
            "Verify the signature before anything else: anybody can send events to it as it is.",
        )  # fmt: skip


def _success(examined: Examination, status: int) -> Finding:
    if _header(examined.outcome, "content-type").partition(";")[0].strip().lower() in _HTML:
        return _finding(
            Check.STATUS, Level.WARNING,
            f"the endpoint responded {named(status)} with an HTML page, so something else than your receiver may have "
            "responded",
            "Check that it is no login page or error page of a proxy: those events would be lost.",
        )  # fmt: skip
    phrase = "" if status == HTTPStatus.OK else ", which counts as delivered"
    return _finding(Check.STATUS, Level.OK, f"the endpoint responded {named(status)}{phrase}")


def _latency(examined: Examination) -> Finding:
    took, most = examined.outcome.duration, examined.timeout
    if took * SLOW_SHARE > most:
        return _finding(
            Check.LATENCY, Level.WARNING, f"the whole exchange took {took:,} ms, and {most:,} ms are all it may take",
            "Respond as soon as the event is stored, and do the work afterwards.",
        )  # fmt: skip
    return _finding(Check.LATENCY, Level.OK, f"the whole exchange took {took:,} ms of at most {most:,} ms")


def _clock(examined: Examination) -> Iterator[Finding]:
    moment = parse_http_date(_header(examined.outcome, "date"))
    if moment is None:
        return
    date = round(moment.timestamp()) * SECOND
    ended = examined.started_at + examined.outcome.duration
    ahead, behind = date - ended, examined.started_at - SECOND - date  # the header has no parts of a second
    off = max(ahead, behind)
    if off < SKEWED:
        yield _finding(Check.CLOCK, Level.OK, "the endpoint's clock agrees with packhook's")
        return
    direction = "ahead of" if ahead > 0 else "behind"
    is_fatal = off >= TOLERANCE and bool(examined.error_message)
    yield _finding(
        Check.CLOCK, Level.PROBLEM if is_fatal else Level.WARNING,
        f"the Date of the response is {_span(off)} {direction} packhook's clock"
        + (": receivers refuse timestamps that are more than 5 minutes off" if off >= TOLERANCE else ""),
        "Have both machines set their clocks by NTP. A proxy before the endpoint may have set the Date, too.",
    )  # fmt: skip


def _span(milliseconds: int) -> str:
    seconds = milliseconds // SECOND
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {name}{'' if count == 1 else 's'}"
    return "less than a second"


def _failed(check: Check, examined: Examination) -> Finding:
    failure = examined.outcome.failure or FailureKind.INTERNAL
    return _finding(check, Level.PROBLEM, examined.error_message, _FIX_BY_KIND.get(failure, _OUR_FIX))


def _header(outcome: Outcome, wanted: str) -> str:
    return next((value for name, value in outcome.headers if name == wanted), "")


def _finding(check: Check, level: Level, message: str, fix: str = "") -> Finding:
    return Finding(check=check, level=level, message=f"{message[:1].upper()}{message[1:]}.", fix=fix)
