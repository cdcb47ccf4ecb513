"""Fuzz verification: whatever the headers of a request are, only a valid signature is accepted."""

import base64
import hashlib
import hmac
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.signatures.standard import (
    TOLERANCE_SECONDS,
    InvalidSignature,
    SigningKey,
    secret_problem,
    sign,
    verify,
)
from unit.fuzz import fuzzed

NOW: Final = 1_722_589_200
SECRETS: Final = ("q9NhjkjV9o", "whsec_" + base64.b64encode(bytes(range(32))).decode())
texts: Final = st.text(max_size=20) | st.sampled_from(["", "evt_1", "v1,", "v1, ", " ", "v1a,AAAA", "\x00", "\u0661"])
times: Final = (
    st.integers(NOW - 400, NOW + 400).map(str)
    | st.sampled_from(
        ["", "-1", "+1", " 1722589200", "1722589200 ", "1_722_589_200", "1e9", "\uff11", "9" * 5_000, "1.0"]
    )
    | st.text(max_size=6)
)
bodies: Final = st.binary(max_size=40)


def token(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Compute a token independently of the code under test."""
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    signed = message_id.encode("utf-8", "replace") + b"." + timestamp.encode("utf-8", "replace") + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def is_good(headers: dict[str, str], body: bytes) -> bool:
    """Return True if the signature is accepted; nothing but InvalidSignature is raised."""
    try:
        verify(SECRETS, headers, body, NOW)
    except InvalidSignature:
        return False
    return True


@fuzzed
@given(message_id=texts, timestamp=times, body=bodies, tokens=st.lists(texts, max_size=3), data=st.data())
def test_only_a_valid_signature_is_accepted(
    message_id: str, timestamp: str, body: bytes, tokens: list[str], data: st.DataObject
) -> None:
    """A good token may be among others; an invalid id, an invalid time or a distant time is never accepted."""
    signed = data.draw(st.booleans())
    if signed:
        tokens = [*tokens, token(data.draw(st.sampled_from(SECRETS)), message_id, timestamp, body)]
    given_headers = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(tokens)}
    near = timestamp.isascii() and timestamp.isdigit() and abs(int(timestamp[:15]) - NOW) <= TOLERANCE_SECONDS
    plain = timestamp == str(int(timestamp)) if near else False
    if signed and near and plain and message_id:
        assert is_good(given_headers, body)
    if not signed or not near or not message_id:
        assert not is_good(given_headers, body)


@fuzzed
@given(
    body=st.binary(min_size=1, max_size=40),
    at=st.integers(0, 10_000),
    place=st.sampled_from(["id", "time", "body", "token"]),
)
def test_one_changed_character_is_refused(body: bytes, at: int, place: str) -> None:
    """Of the id, the time, the body or the token."""
    parts = {"id": b"evt_1", "time": str(NOW).encode(), "body": body}
    made = token(SECRETS[0], "evt_1", str(NOW), body)
    parts["token"] = made.encode()
    changed = bytearray(parts[place])
    at %= len(changed) - (2 if place == "token" else 0)  # the last bits of base64 before its padding say nothing
    changed[at] ^= 1
    parts[place] = bytes(changed)
    headers = {
        "webhook-id": parts["id"].decode("latin-1"),
        "webhook-timestamp": parts["time"].decode("latin-1"),
        "webhook-signature": parts["token"].decode("latin-1"),
    }
    assert is_good({"webhook-id": "evt_1", "webhook-timestamp": str(NOW), "webhook-signature": made}, body)
    assert not is_good(headers, parts["body"])


@fuzzed
@given(st.text(max_size=100) | st.text(max_size=100).map("whsec_{}".format) | st.binary(max_size=80).map(
    lambda key: "whsec_" + base64.b64encode(key).decode()
))  # fmt: skip
def test_every_accepted_secret_can_sign(secret: str) -> None:
    """No other secret is accepted."""
    if secret_problem(secret) is not None:
        return
    signature = sign([SigningKey(secret)], "evt_1", NOW, b"{}")
    verify([secret], {"webhook-id": "evt_1", "webhook-timestamp": str(NOW), "webhook-signature": signature}, b"{}", NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-signature"])
def test_half_a_character_is_refused(name: str) -> None:
    """Some servers pass on a byte that is no UTF-8 as a lone surrogate (``surrogateescape``)."""
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(NOW), "webhook-signature": "v1,AAAA"}
    assert not is_good(headers | {name: "\udcff"}, b"{}")
