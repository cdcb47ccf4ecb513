"""Test ``packhook_client.receiving.verify``: what it accepts, what it refuses, and with which reason."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.signatures.standard import new_secret
from packhook_client.receiving import (
    TOLERANCE_SECONDS,
    BodyChanged,
    Delivery,
    HeaderMissing,
    InvalidSecret,
    Malformed,
    Refused,
    SignatureMismatch,
    TooNew,
    TooOld,
    Verifier,
    WrongSecret,
    verify,
)
from receiving.messages import DATA, ENCODED, OTHER, PLAIN, Message, headers_of, signed

NOW: Final = 1_796_028_994
_LIMIT: Final = int(TOLERANCE_SECONDS)
_VECTORS: Final[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "unit" / "vectors.json").read_text("utf-8"))
_DIFFERENT: Final = "the signature in webhook-signature does not match"


def refusal(secret: str | list[str], message: Message, *, now: int = NOW) -> Refused:
    """Return why a message is refused."""
    with pytest.raises(Refused) as caught:
        verify(secret, message.headers, message.body, now=now)
    return caught.value


def changed(message: Message, body: bytes) -> Message:
    """Return the message with another body, and a content-length that fits it."""
    return Message(message.headers | {"content-length": str(len(body))}, body)


@pytest.mark.parametrize("vector", _VECTORS["one_secret"], ids=lambda vector: vector["id"])
def test_the_vectors_are_verified(vector: dict[str, Any]) -> None:
    """Both kinds of secret, any body."""
    headers = {
        "Webhook-Id": vector["id"],
        "Webhook-Timestamp": str(vector["timestamp"]),
        "Webhook-Signature": vector["signature"],
    }
    delivery = verify(vector["secret"], headers, vector["body"].encode(), now=vector["timestamp"])
    assert (delivery.id, delivery.body) == (vector["id"], vector["body"].encode())


@pytest.mark.parametrize("vector", _VECTORS["rotation"], ids=lambda vector: vector["id"])
def test_each_secret_of_a_rotation_is_enough(vector: dict[str, Any]) -> None:
    """The old one, the new one, or both, in any order; a third one is refused."""
    headers = {
        "webhook-id": vector["id"],
        "webhook-timestamp": str(vector["timestamp"]),
        "webhook-signature": vector["signature"],
    }
    body, now = vector["body"].encode(), vector["timestamp"]
    for known in (*vector["secrets"], vector["secrets"], vector["secrets"][::-1], [OTHER, vector["secrets"][0]]):
        assert verify(known, headers, body, now=now).id == vector["id"]
    assert isinstance(refusal(OTHER, Message(headers, body), now=now), SignatureMismatch)


def test_a_delivery_has_everything_that_was_sent() -> None:
    """Parsed and typed, with the raw body."""
    message = signed(PLAIN, at=NOW, event_id="evt_1")
    message.headers["webhook-attempt"] = "3"
    assert verify(PLAIN, message.headers, message.body, now=NOW + 10) == Delivery(
        id="evt_1",
        event_code="order.created",
        data=json.loads(DATA),
        organization_id="acme",
        time=datetime(2026, 11, 30, 8, 56, 34, 482_000, UTC),
        sent_at=datetime.fromtimestamp(NOW, UTC),
        attempt=3,
        body=message.body,
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"type": 1, "timestamp": "soon", "data": 2}', b'{"n":' + b"9" * 5_000],
    ids=["empty", "array", "no text", "deep", "other members", "long number"],
)
def test_a_genuine_body_of_another_sender_is_accepted(body: bytes) -> None:
    """Where packhook's members are absent, the delivery has nothing for them."""
    headers = headers_of(PLAIN, message_id="msg_1", at=NOW, body=body)
    delivery = verify(PLAIN, headers, body, now=NOW)
    assert (delivery.event_code, delivery.data, delivery.organization_id) == ("", {}, "")
    assert (delivery.time, delivery.body) == (delivery.sent_at, body)


def test_headers_and_bodies_of_every_framework_are_read() -> None:
    """Names in any case, pairs in a list, also of bytes; the body as text instead of bytes."""
    headers, body = signed(PLAIN, at=NOW)
    titled = {name.title(): value for name, value in headers.items()}
    asgi = [(name.encode(), value.encode()) for name, value in headers.items()]
    for given_headers in (titled, list(titled.items()), headers.items(), asgi):
        for given_body in (body, bytearray(body), memoryview(body), body.decode()):
            assert verify(PLAIN, given_headers, given_body, now=NOW).body == body  # type: ignore[arg-type] # at run time


def test_a_parsed_body_is_an_error_of_the_caller() -> None:
    """The message says what to pass instead."""
    headers, body = signed(PLAIN)
    with pytest.raises(TypeError, match="expected the raw body as bytes, got dict: take the bytes before"):
        verify(PLAIN, headers, json.loads(body))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    """An empty one counts as missing."""
    headers, body = signed(PLAIN, at=NOW)
    absent = {other: value for other, value in headers.items() if other != name}
    for given_headers in (absent, headers | {name: " "}):
        refused = refusal(PLAIN, Message(given_headers, body))
        assert isinstance(refused, HeaderMissing)
        assert (refused.code, refused.header) == ("header_missing", name)
        assert refused.public_reason == f"the header {name} is missing"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        *[
            ("webhook-timestamp", value, "is not a number of Unix seconds")
            for value in ("soon", "-1", "٣", "9" * 5_000)
        ],
        ("webhook-timestamp", "9" * 13, "is not a number of Unix seconds"),
        *[("webhook-signature", value, 'has no token "v1,…"') for value in ("v1", "v1a,AAAA", "v2,AAAA sha256=ü")],
    ],
)
def test_a_malformed_header_is_named(name: str, value: str, problem: str) -> None:
    """The reason says what is wrong with it."""
    headers, body = signed(PLAIN, at=NOW)
    refused = refusal(PLAIN, Message(headers | {name: value}, body))
    assert isinstance(refused, Malformed)
    assert (refused.code, refused.header) == ("malformed", name)
    assert str(refused).startswith(f"the header {name} {problem}")


def test_two_values_of_one_header_are_refused() -> None:
    """A proxy might check one of them, and the receiver the other."""
    headers, body = signed(PLAIN, at=NOW)
    pairs = [*headers.items(), ("Webhook-Id", "evt_2")]
    with pytest.raises(Malformed, match="webhook-id is there twice"):
        verify(PLAIN, pairs, body, now=NOW)
    assert verify(PLAIN, [*headers.items(), *headers.items()], body, now=NOW).body == body


@pytest.mark.parametrize(("kind", "ago"), [(TooOld, _LIMIT + 1), (TooNew, -_LIMIT - 1)])
def test_a_message_from_another_time_says_by_how_much(kind: type[TooOld | TooNew], ago: int) -> None:
    """Also whether its signature is right: then a clock is wrong, or an old request was sent again."""
    message = signed(PLAIN, at=NOW - ago)
    for secret, is_genuine in ((PLAIN, True), (ENCODED, False)):
        refused = refusal(secret, message)
        assert isinstance(refused, kind)
        assert (refused.seconds, refused.tolerance_seconds, refused.is_genuine) == (301, 300, is_genuine)
        assert "301 s" in refused.public_reason
        assert "at most 300 s are allowed" in refused.public_reason
        assert ("its signature is right" in str(refused)) is is_genuine
        assert "signature" not in refused.public_reason, "an attacker cannot find out old signatures"


@pytest.mark.parametrize("away", [-11, 11])
def test_a_receiver_chooses_its_tolerance(away: int) -> None:
    """In seconds, for both directions; None accepts any time."""
    headers, body = signed(PLAIN, at=NOW)
    for tolerance in (11, None):
        verify(PLAIN, headers, body, now=NOW + away, tolerance=tolerance)
    with pytest.raises(Refused, match=r"11 s in the \w+, at most 10 s are allowed"):
        verify(PLAIN, headers, body, now=NOW + away, tolerance=10)
    verify(PLAIN, headers, body, now=NOW + _LIMIT)
    verify(PLAIN, headers, body, now=NOW - _LIMIT)


def test_by_default_the_time_is_now() -> None:
    """A message of now is accepted, one of last year is not."""
    headers, body = signed(PLAIN)
    assert verify(PLAIN, headers, body).body == body
    headers, body = signed(PLAIN, at=NOW - 365 * 86_400)
    with pytest.raises(TooOld):
        verify(PLAIN, headers, body, now=NOW)


@pytest.mark.parametrize(("right", "wrong"), [(PLAIN, OTHER), (ENCODED, PLAIN), (ENCODED, [OTHER, PLAIN])])
def test_a_wrong_secret_and_an_intact_body(right: str, wrong: str | list[str]) -> None:
    """The signature cannot tell which of the two is wrong; the body looks intact, so the secret comes first."""
    refused = refusal(wrong, signed(right, at=NOW))
    assert (type(refused), refused.code) == (SignatureMismatch, "signature_mismatch")
    assert isinstance(refused, SignatureMismatch)
    assert "the signature alone cannot tell which" in str(refused)
    assert "this webhook's" in refused.causes[0]
    assert "parsed and serialized again" in refused.causes[1]


@pytest.mark.parametrize(
    ("body", "first"),
    [
        (b"", "the body is empty"),
        (b"id=evt_1&type=order.created", "the body is not a JSON object"),
        (b'{"id": "evt_2"}', "the body's id is not that of webhook-id"),
        (b'{"type": "order.created", "id": "evt_1"}', "was the body parsed and serialized again"),
    ],
)
def test_a_body_that_is_not_packhooks_was_probably_changed(body: bytes, first: str) -> None:
    """The first cause to check is the body."""
    refused = refusal(PLAIN, changed(signed(PLAIN, at=NOW, event_id="evt_1"), body))
    assert isinstance(refused, SignatureMismatch)
    assert refused.causes[0].startswith(first)
    assert len(refused.causes) >= 2


_CHANGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "a byte order mark was added": lambda body: b"\xef\xbb\xbf" + body,
    "white space was added around it": lambda body: body + b"\r\n",
    "it was parsed and serialized again": lambda body: json.dumps(json.loads(body)).encode(),
    "serialized again": lambda body: json.dumps(json.loads(body), indent=2, ensure_ascii=False).encode(),
    "was parsed": lambda body: json.dumps(dict(reversed(json.loads(body).items()))).encode(),
}


@pytest.mark.parametrize("data", [json.dumps(json.loads(DATA)), json.dumps(json.loads(DATA), separators=(",", ":"))])
@pytest.mark.parametrize("cause", _CHANGES)
def test_a_change_that_can_be_undone_is_proven(cause: str, data: str) -> None:
    """The secret is right: the signature matches the body without the change."""
    message = signed(PLAIN, at=NOW, data=data)
    refused = refusal([OTHER, PLAIN], changed(message, _CHANGES[cause](message.body)))
    assert (type(refused), refused.code) == (BodyChanged, "body_changed")
    assert "the secret is right" in str(refused)
    assert cause in str(refused)
    assert refused.public_reason == _DIFFERENT


def test_a_removed_line_break_is_proven() -> None:
    """A framework may strip a body; one with line breaks may become CR LF."""
    for sent, arrived, cause in ((b"{}\n", b"{}", "was removed"), (b"{\n}", b"{\r\n}", "CR LF")):
        headers = headers_of(PLAIN, message_id="msg_1", at=NOW, body=sent)
        refused = refusal(PLAIN, Message(headers, arrived))
        assert isinstance(refused, BodyChanged)
        assert cause in str(refused)


def test_a_body_of_another_length_was_changed() -> None:
    """``content-length`` is what arrived; a compressed body has another one."""
    message = signed(PLAIN, at=NOW)
    length = {"content-length": str(len(message.body))}
    cut = Message(message.headers | length, message.body[:-20])
    refused = refusal(PLAIN, cut)
    assert isinstance(refused, BodyChanged)
    assert f"has {len(cut.body)} bytes, but content-length says {len(message.body)}" in str(refused)
    compressed = Message(cut.headers | {"content-encoding": "gzip"}, cut.body)
    assert type(refusal(PLAIN, compressed)) is SignatureMismatch


@pytest.mark.parametrize(
    ("sent", "configured", "mistake"),
    [
        (ENCODED, ENCODED.removeprefix("whsec_"), "your secret lacks the prefix whsec_, the one that signed has it"),
        (ENCODED.removeprefix("whsec_"), ENCODED, "your secret has the prefix whsec_, the one that signed has not"),
    ],
)
def test_a_secret_in_another_form_is_proven_wrong(sent: str, configured: str, mistake: str) -> None:
    """The body is right: the signature matches with the secret as it should be."""
    refused = refusal(configured, signed(sent, at=NOW))
    assert (type(refused), refused.code) == (WrongSecret, "wrong_secret")
    assert mistake in str(refused)
    assert refused.public_reason == _DIFFERENT


@given(st.data())
def test_every_change_of_a_signed_message_is_refused(data: st.DataObject) -> None:
    """One byte of the body, another id, time or token."""
    headers, body = signed(ENCODED, at=NOW)
    at, bits = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(1, 255))
    token = headers["webhook-signature"]
    index = data.draw(st.integers(3, len(token) - 3))
    forged = [
        Message(headers, body[:at] + bytes([body[at] ^ bits]) + body[at + 1 :]),
        Message(headers | {"webhook-id": "evt_2"}, body),
        Message(headers | {"webhook-timestamp": str(NOW + 1)}, body),
        Message(headers | {"webhook-signature": token[:index] + ("A" if token[index] != "A" else "B")}, body),
    ]
    for message in forged:
        assert isinstance(refusal(ENCODED, message), SignatureMismatch)


@given(*[st.text(max_size=20)] * 3, st.binary(max_size=40))
def test_any_request_is_refused_with_one_kind_of_error(identity: str, time: str, signature: str, body: bytes) -> None:
    """Whatever a stranger sends: no other exception, so no 500."""
    headers = {"webhook-id": identity, "webhook-timestamp": time, "webhook-signature": signature}
    assert refusal(PLAIN, Message(headers, body)).public_reason


@pytest.mark.parametrize(
    "body", [b'{"a":' * 400 + b"1" + b"}" * 400, b'{"a":"\\ud800"}', b'{"a":' + b"9" * 5_000 + b"}"]
)
@pytest.mark.parametrize("name", ["webhook-id", "webhook-signature"])
def test_odd_texts_are_refused(name: str, body: bytes) -> None:
    """Half a character in a header or body, numbers and depths that Python does not read or write."""
    headers, _ = signed(PLAIN, at=NOW)
    assert isinstance(refusal(PLAIN, Message(headers | {name: "v1,\udc80"}, body)), SignatureMismatch)


def test_a_large_forged_body_is_not_examined() -> None:
    """Trying what may have happened to it would cost the receiver more than the sender."""
    message = signed(PLAIN, at=NOW, data=json.dumps({"id": "x" * 70_000}))
    assert type(refusal(PLAIN, changed(message, message.body + b"\n"))) is SignatureMismatch


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("", "it is empty"),
        ([], "there is no secret"),
        ([PLAIN, ""], "it is empty"),
        (PLAIN + "\n", "white space"),
        ("short", "at least 8 characters, got 5"),
        ("whsec_no-base-64-at-all!", "expected base64 after whsec_"),
        ("whsec_QUJD", "at least 8 bytes after whsec_, got 3"),
    ],
)
def test_a_secret_that_cannot_be_one_fails_at_once(secret: str | list[str], problem: str) -> None:
    """At the start of the receiver, not with the first request; the message does not show it."""
    with pytest.raises(InvalidSecret, match=problem) as caught:
        Verifier(secret)
    assert not any(text and text in str(caught.value) for text in ("QUJD", PLAIN, "short"))


def test_no_refusal_shows_a_secret() -> None:
    """Neither the log nor the response."""
    secret = new_secret()
    for message in (signed(PLAIN, at=NOW), signed(secret.removeprefix("whsec_"), at=NOW), signed(secret, at=1)):
        refused = refusal(secret, message)
        assert secret.removeprefix("whsec_") not in f"{refused!r} {refused} {refused.public_reason}"


def test_verifying_needs_the_standard_library_alone() -> None:
    """Import no framework and not even httpx."""
    code = (
        "import sys; import packhook_client.receiving;"
        "print({'httpx', 'starlette', 'flask', 'django', 'aiohttp', 'asyncpg', 'asyncio'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "set()"
