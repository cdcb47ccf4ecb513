"""Store and log nothing that an endpoint repeats of its webhook's header values, in space that has a bound."""

import sys
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from types import FrameType
from typing import Final
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_fixture import DELIVERED, PENDING, leased, local_node, target, without_deadline
from node_fixture import webhook as a_webhook
from structlog.testing import capture_logs

from packhook.core.model import FailureKind, Outcome, PreviousSecret, WebhookState
from packhook.delivery.attempt import attempt, prepare
from packhook.delivery.http.response_parser import BODY_LIMIT
from packhook.delivery.redaction import MAX_HEADER_VALUE, redactor
from packhook.settings import Settings
from packhook.testing import ManualClock, Receiver, Status
from packhook.testing.clock import START
from support.http_client import sending
from support.values import replaced

TOKEN: Final = "Bearer tok/é&secret"


@pytest.mark.parametrize(
    ("secrets", "text", "shown"),
    [
        (["*"], "a*b**", "a***b******"),
        (["*", "**", "***"], "*****", "******"),
        (["abcd", "abcdefgh"], "abcdefgh abcd", "*** ***"),
        (["Bearer 0123456789"], "0123456789", "***"),
        (["x y"], "x y, x, y", "***, x, y"),
        (["", " "], "as it was", "as it was"),
        ([], "as it was", "as it was"),
    ],
)
def test_each_value_becomes_three_stars_once(secrets: list[str], text: str, shown: str) -> None:
    """No pass sees what another wrote."""
    assert redactor(secrets).text(text) == shown


@pytest.mark.parametrize(
    "spelling",
    [
        TOKEN.encode(),
        TOKEN.lower().encode(),
        b"tok/\xc3\xa9&secret",
        rb"Bearer tok/\u00e9&secret",
        rb"Bearer tok\/\u00e9&secret",
        b"Bearer tok\\/\xc3\xa9&secret",
        b"Bearer%20tok/%C3%A9%26secret",
        b"Bearer%20tok%2F%C3%A9%26secret",
        b"Bearer+tok%2F%C3%A9%26secret",
        b"Bearer tok/\xc3\xa9&amp;secret",
    ],
)
def test_every_usual_spelling_is_removed(spelling: bytes) -> None:
    """As receivers repeat a value: plain, without its scheme, in JSON, in a URL, in HTML."""
    shown = redactor([TOKEN]).body(b"[" + spelling + b"]")
    assert b"secret" not in shown
    assert (shown[:1], shown[-4:]) == (b"[", b"***]")


@pytest.mark.parametrize(
    "spelling",
    [
        "BEARER TOK/é&SECRET".encode(),
        b64encode(TOKEN.encode()),
        b64encode(b"a" + TOKEN.encode()),
        b64encode(b"aa" + TOKEN.encode()),
        urlsafe_b64encode(b"{" + TOKEN.encode() + b"}"),
        TOKEN.encode().hex().encode(),
        TOKEN.encode().hex().upper().encode(),
        "".join(f"%{byte:02x}" for byte in TOKEN.encode()).encode(),
        "".join(f"%25{byte:02X}" for byte in TOKEN.encode()).encode(),
        b"bearer%20tok%2f%c3%a9%26secret",
        "".join(f"\\u{ord(letter):04x}" for letter in TOKEN).encode(),
        "".join(f"\\x{byte:02x}" for byte in TOKEN.encode()).encode(),
        "".join(f"&#{ord(letter)};" for letter in TOKEN).encode(),
        "".join(f"&#x{ord(letter):X};" for letter in TOKEN).encode(),
        b"Bearer tok/&eacute;&amp;secret",
        b"Bearer to k/\xc3\xa9&\r\nsecret",
    ],
)
def test_every_encoding_is_removed(spelling: bytes) -> None:
    """As a receiver may hide a value that it knows: nothing that means it is left, in a body or in a header."""
    remover = redactor([TOKEN])
    body = remover.body(b"[" + spelling + b"]")
    ((_, value),) = remover.headers((("x", f"[{spelling.decode('latin-1')}]"),))
    for shown in (body, value.encode("latin-1")):
        assert b"***" in shown
        assert not [part for part in (spelling[8:20], b"secret", b"tok/", b"k/") if part.lower() in shown.lower()]


@pytest.mark.parametrize(
    "lines",
    [
        ("0123456", "789abcdef"),
        ("01", "23", "456789abc", "def"),
        ("a 0123456", "789abcdef b"),
        ("0123 4567 89ab cdef",),
    ],
)
def test_a_value_in_several_header_lines_is_removed(lines: tuple[str, ...]) -> None:
    """Also one that is folded, which puts white space into it; the lines around stay as they are."""
    given = (("a", "0"), *(("x", line) for line in lines), ("z", "f"))
    shown = redactor(["0123456789abcdef"]).headers(given)
    assert shown == (("a", "0"), *(("x", "***") for _ in lines), ("z", "f"))


def test_credentials_of_basic_are_removed_in_plain() -> None:
    """User and password, and the password alone."""
    remover = redactor([f"Basic {b64encode(b'shop:correct horse').decode()}"])
    assert remover.text("shop:correct horse") == "***"
    assert remover.text("the password 'correct horse' is wrong") == "the password '***' is wrong"


@without_deadline
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=20), st.binary(max_size=2_000))
def test_the_result_is_bounded_and_has_no_value(secrets: list[str], body: bytes) -> None:
    """Whatever the values and the body are."""
    shown = redactor(secrets).body(b"".join([body, *(secret.encode() for secret in secrets), body]))
    size = 2 * len(body) + sum(len(secret.encode()) for secret in secrets)
    assert len(shown) <= 3 * size
    long = [secret.strip().encode() for secret in secrets if len(secret.strip()) > 3]
    assert not [secret for secret in long for part in shown.split(b"***") if secret in part]


def test_masking_that_multiplies_is_cut() -> None:
    """Nineteen values of ``*`` and a body of stars: not 3 to the power of 19."""
    shown = redactor(["*"] * 19).outcome(Outcome(headers=(("x", "*" * 60_000),), body=b"*" * BODY_LIMIT))
    assert (len(shown.body), len(shown.headers[0][1])) == (BODY_LIMIT, MAX_HEADER_VALUE)


@pytest.mark.parametrize(
    "repeated",
    [
        "&x",
        "& ",
        "&abc",
        "&" + "a" * 32,
        "&amp;",
        "&#65;",
        "&#6",
        "&#x1F600",
        "%",
        "%41",
        "%25",
        "%2541",
        "\\",
        '\\"',
        "\\u0041",
        "\\x41",
        "\\ud83d",
        "*",
        "%41\\x41&#65;",
    ],
)
def test_a_response_full_of_escapes_takes_no_steps_for_each(repeated: str) -> None:
    """It costs the interpreter as many calls as one without: 64 KiB of bare ``&`` took 20 ms, and others waited."""
    remover = redactor([TOKEN, "*"])
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += "call" in event

    body = (repeated * BODY_LIMIT)[:BODY_LIMIT].encode("latin-1")
    remover.body(body)  # what an escape means is worked out once
    sys.setprofile(count)
    try:
        remover.body(body)
    finally:
        sys.setprofile(None)
    assert 0 < calls < 300


def test_an_echo_of_more_values_than_are_worth_showing_becomes_the_marker() -> None:
    """Each spelling that is found is a pass over the text."""
    values = [f"value-{number:03}" for number in range(200)]
    remover = redactor(values)
    assert remover.body(" ".join(values).encode()) == b"***"
    assert remover.headers(tuple((value, value) for value in values)) == (("***", "***"),) * 200
    assert remover.body(" ".join(values[:9]).encode()) == b" ".join([b"***"] * 9)


def test_the_start_of_a_value_at_the_end_of_a_cut_body() -> None:
    """The client stopped reading in the middle of it."""
    outcome = Outcome(body=b"you sent 0123456789abc", truncated=True)
    assert redactor(["0123456789ABCDEF"]).outcome(outcome).body == b"you sent ***"


def test_words_of_a_certificate_are_those_of_an_endpoint() -> None:
    """Its names are in the detail of a TLS failure; details that are ours stay readable."""
    of_tls = Outcome(failure=FailureKind.TLS, detail="not for this host but for s3cret.example")
    ours = Outcome(failure=FailureKind.TIMEOUT, detail="the time ran out")
    assert redactor(["s3cret"]).outcome(of_tls).detail == "not for this host but for ***.example"
    assert redactor(["t"]).outcome(ours) == ours


async def test_nothing_of_an_attempt_repeats_a_header_value() -> None:
    """In a name, a value, the target of a redirect (so in the error), the body: neither stored nor logged."""
    answer = Status(
        302, {"x-0123456789ABC": "yes", "Location": "/in?t=0123456789ABC&", "x": "0123456789ABC"}, b"0123456789ABC"
    )
    async with Receiver(answer) as receiver, sending() as sender:
        to = target(endpoint=receiver.url, headers={"authorization": "0123456789ABC"})
        with capture_logs() as lines:
            result = await attempt(leased(), to, None, sender, ManualClock())
    assert "0123456789abc" not in repr((result.attempt, result.verdict, lines)).lower()
    assert result.attempt.error_message == (
        "answered 302 Found to /in?t=***&: redirects are not followed, update the URL of the webhook"
    )
    assert [line["detail"] for line in lines] == [result.attempt.error_message]


@pytest.mark.parametrize("secret", ["q9NhjkjV9o", "whsec_cGFja2hvb2stZXhhbXBsZS1zZWNyZXQtMzItYnl0ZXM="])
async def test_nothing_of_an_attempt_repeats_a_secret(secret: str) -> None:
    """A debug page shows the settings of its receiver; who may read deliveries may not sign."""
    bare = secret.removeprefix("whsec_")
    page = f"SECRET={secret} key: {bare}; {b64encode(secret.encode()).decode()} {quote(secret, safe='')}".encode()
    answer = Status(302, {"x-debug": bare, "Location": f"/in?secret={quote(secret, safe='')}"}, page)
    async with Receiver(answer) as receiver, sending() as sender:
        with capture_logs() as lines:
            result = await attempt(leased(), target(endpoint=receiver.url, secret=secret), None, sender, ManualClock())
    assert result.attempt.response_body.startswith(b"SECRET=*** key: ***; ")
    shown = unquote(repr((result.attempt, result.verdict, lines)))
    assert [word for word in (secret, bare, b64encode(secret.encode()).decode()) if word in shown] == []


def test_a_secret_that_still_signs_beside_a_newer_one_is_removed() -> None:
    """As long as it does."""
    previous = PreviousSecret(secret="the-previous-one", expires_at=START + 1)
    state = WebhookState(webhook=a_webhook(secret="the-newest-one", previous_secrets=(previous,)))
    shown = prepare(state, Settings()).redactor.body(b"the-newest-one the-previous-one")
    assert shown == b"*** ***"


@given(
    st.text("abc*%\\&61 \t", max_size=12), st.text("abc*%\\&61 \t", max_size=12), st.binary(max_size=12),
    st.lists(st.text("abc*/ ", min_size=1, max_size=4), max_size=3), st.booleans(),
)  # fmt: skip
def test_a_short_response_is_shown_as_a_long_one(
    name: str, value: str, body: bytes, secrets: list[str], is_cut: bool
) -> None:
    """A quick look finds that there is nothing to remove only where there is nothing."""
    remove = redactor([*secrets, "abcabcab"])
    outcome = Outcome(status_code=200, headers=((name, value), ("location", value)), body=body, truncated=is_cut)
    headers, kept = remove.headers(outcome.headers), remove.body(body, is_cut=is_cut)
    assert remove.outcome(outcome) == replaced(outcome, headers=headers, body=kept)


async def test_a_number_in_retry_after_counts_although_a_header_has_it() -> None:
    """It is not shown; it is obeyed."""
    async with Receiver(Status(503, {"retry-after": "60"})) as receiver, sending() as sender:
        to = target(endpoint=receiver.url, headers={"x-shop": "60"})
        clock = ManualClock()
        result = await attempt(leased(), to, None, sender, clock)
    assert ("retry-after", "***") in result.attempt.response_headers
    assert result.verdict.hold_until == clock.now() + 60_000 + result.attempt.duration


async def test_stars_in_nineteen_headers_stop_nothing(tmp_path: Path) -> None:
    """The attempt is recorded, and so is what others were sent."""
    async with (
        local_node(tmp_path) as node,
        Receiver(Status(200, {}, b"*" * BODY_LIMIT)) as stars,
        Receiver() as healthy,
    ):
        await node.webhook(stars.url, headers={f"x-{number}": "*" for number in range(19)})
        (event_id,) = await node.publish()
        assert (await node.becomes(event_id, DELIVERED)).attempts[0].response_body == b"*" * BODY_LIMIT
        await node.webhook(healthy.url, organization_id="other")
        (other_id,) = await node.publish(organization_id="other")
        await node.store.until(lambda: len(node.store.recorded) == 2)
        assert (await node.detail(other_id, "other")).delivery.status is DELIVERED
        assert PENDING not in [result.verdict.status for result in node.store.recorded]
