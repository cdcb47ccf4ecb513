"""Test that signatures are those of Standard Webhooks 1.0.0, by its vectors and its public library."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from packhook.core.signatures.standard import (
    TOLERANCE_SECONDS,
    InvalidSignature,
    SigningKey,
    mask,
    new_secret,
    secret_problem,
    sign,
    verify,
)
from packhook.testing.signatures import is_signed

VECTORS: Final[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors.json").read_text("utf-8"))
PLAIN: Final = "q9NhjkjV9o"
ENCODED: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY: Final = '{"note":"Zürich, 東京 🚚"}'.encode()

secrets = st.one_of(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=255).filter(
        lambda secret: not secret.startswith("whsec_")
    ),
    st.builds(new_secret),
)


def headers(secret: str, body: bytes, at: int, *others: str) -> dict[str, str]:
    """Return the headers of a message that is signed with all of these."""
    signature = sign([SigningKey(key) for key in (secret, *others)], "evt_1", at, body)
    return {"webhook-id": "evt_1", "webhook-timestamp": str(at), "webhook-signature": signature}


@pytest.mark.parametrize("vector", VECTORS["one_secret"], ids=lambda vector: vector["id"])
def test_the_vectors_are_reproduced(vector: dict[str, Any]) -> None:
    """One secret, one token, to the byte."""
    key = SigningKey(vector["secret"])
    assert sign([key], vector["id"], vector["timestamp"], vector["body"].encode()) == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS["rotation"], ids=lambda vector: vector["id"])
def test_several_live_secrets_give_several_tokens(vector: dict[str, Any]) -> None:
    """In their order, separated by exactly one space."""
    keys = [SigningKey(secret) for secret in vector["secrets"]]
    assert sign(keys, vector["id"], vector["timestamp"], vector["body"].encode()) == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS["one_secret"], ids=lambda vector: vector["id"])
def test_the_public_library_reproduces_the_vectors(vector: dict[str, Any]) -> None:
    """The vectors are those of the standard, not only ours."""
    at = datetime.fromtimestamp(vector["timestamp"], UTC)
    assert library_webhook(vector["secret"]).sign(vector["id"], at, vector["body"]) == vector["signature"]


def library_webhook(secret: str) -> Webhook:
    """Return the public library's verifier: it takes ``whsec_`` text as it is, and the bytes of any other secret."""
    return Webhook(secret if secret.startswith("whsec_") else secret.encode())


@pytest.mark.parametrize("live", [(PLAIN,), (ENCODED,), (PLAIN, ENCODED), (ENCODED, PLAIN)])
@pytest.mark.parametrize("body", [b"{}", b'{"data":{"total":"19.90"}}\n', BODY], ids=["empty", "plain", "non-ascii"])
def test_the_public_library_accepts_what_we_sign(live: tuple[str, ...], body: bytes) -> None:
    """With any kind of secret, as first or second of two; it refuses with any other secret."""
    first, *others = live
    signed = headers(first, body, int(datetime.now(UTC).timestamp()), *others)
    for secret in live:
        assert library_webhook(secret).verify(body, signed) == json.loads(body)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        library_webhook("another-secret").verify(body, signed)


@given(secrets, st.binary(max_size=2000), st.integers(0, 2**40))
def test_a_signed_message_is_verified(secret: str, body: bytes, at: int) -> None:
    """By packhook's verification, and by an independent one."""
    signed = headers(secret, body, at)
    verify([secret], signed, body, at)
    assert is_signed([secret], signed, body)


@given(secrets, st.binary(min_size=1, max_size=200), st.data())
def test_any_changed_byte_is_refused(secret: str, body: bytes, data: st.DataObject) -> None:
    """Of the body; also another id or another time."""
    signed = headers(secret, body, 1_000)
    at = data.draw(st.integers(0, len(body) - 1))
    other = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
    for changed, content in (
        (signed, other),
        (signed | {"webhook-id": "evt_2"}, body),
        (signed | {"webhook-timestamp": "1001"}, body),
    ):
        with pytest.raises(InvalidSignature):
            verify([secret], changed, content, 1_000)


def test_either_of_two_secrets_verifies() -> None:
    """A receiver that knows the old one, the new one, or both."""
    signed = headers(PLAIN, BODY, 1_000, ENCODED)
    for known in ([PLAIN], [ENCODED], ["something-else", PLAIN]):
        verify(known, signed, BODY, 1_000)
    with pytest.raises(InvalidSignature, match="no token"):
        verify(["something-else"], signed, BODY, 1_000)


@pytest.mark.parametrize(
    ("changes", "now", "words"),
    [
        ({"webhook-id": ""}, 1_000, "webhook-id is missing"),
        ({"webhook-signature": ""}, 1_000, "webhook-signature is missing"),
        ({"webhook-timestamp": ""}, 1_000, "webhook-timestamp is missing"),
        ({"webhook-timestamp": "soon"}, 1_000, "not a number"),
        ({"webhook-timestamp": "-1"}, 1_000, "not a number"),
        ({"webhook-timestamp": "٣"}, 1_000, "not a number"),
        ({"webhook-timestamp": "9" * 5_000}, 1_000, "not a number"),
        ({}, 1_000 + TOLERANCE_SECONDS + 1, "301 s from now"),
        ({}, 1_000 - TOLERANCE_SECONDS - 1, "301 s from now"),
        ({"webhook-signature": "v1,"}, 1_000, "no token"),
        ({"webhook-signature": "v2,AAAA v1"}, 1_000, "no token"),
        ({"webhook-signature": "v1,ü"}, 1_000, "no token"),
    ],
)
def test_refusals_say_why(changes: dict[str, str], now: int, words: str) -> None:
    """The message tells a receiver's owner what to check."""
    with pytest.raises(InvalidSignature, match=words):
        verify([PLAIN], headers(PLAIN, BODY, 1_000) | changes, BODY, now)


@given(secrets, st.integers(0, 46), st.integers(1, 127))
def test_any_changed_character_of_the_token_is_refused(secret: str, at: int, flip: int) -> None:
    """Also of its ``v1,`` prefix."""
    signed = headers(secret, BODY, 1_000)
    token = signed["webhook-signature"]
    assert len(token) == 47
    changed = token[:at] + chr(ord(token[at]) ^ flip) + token[at + 1 :]
    with pytest.raises(InvalidSignature, match="no token"):
        verify([secret], signed | {"webhook-signature": changed}, BODY, 1_000)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_required(name: str) -> None:
    """A missing header is like an empty one."""
    signed = {header: value for header, value in headers(PLAIN, BODY, 1_000).items() if header != name}
    with pytest.raises(InvalidSignature, match=f"the header {name} is missing"):
        verify([PLAIN], signed, BODY, 1_000)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_invalid_header_raises_the_same_error(message_id: str, timestamp: str, signature: str) -> None:
    """A receiver catches one kind of error, for any request."""
    made_up = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    with pytest.raises(InvalidSignature):
        verify([PLAIN], made_up, BODY, 1_000)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-signature"])
def test_half_a_character_in_a_header_is_refused(name: str) -> None:
    """Some servers pass on bytes that are not UTF-8 as lone surrogates."""
    with pytest.raises(InvalidSignature):
        verify([PLAIN], headers(PLAIN, BODY, 1_000) | {name: "v1,\udc80"}, BODY, 1_000)


@pytest.mark.parametrize("known", [[], ["another-secret"]])
def test_without_the_right_secret_nothing_is_accepted(known: list[str]) -> None:
    """Also without any secret."""
    with pytest.raises(InvalidSignature, match="no token"):
        verify(known, headers(PLAIN, BODY, 1_000), BODY, 1_000)


@pytest.mark.parametrize("away", [-11, 11])
def test_a_receiver_may_choose_its_own_tolerance(away: int) -> None:
    """In seconds, for the past and the future."""
    signed = headers(PLAIN, BODY, 1_000)
    verify([PLAIN], signed, BODY, 1_000 + away, tolerance=11)
    with pytest.raises(InvalidSignature, match="11 s from now, at most 10 s"):
        verify([PLAIN], signed, BODY, 1_000 + away, tolerance=10)


def test_header_names_in_any_case_and_the_edge_of_the_tolerance() -> None:
    """Names are case-insensitive (RFC 9110, 5.1); a difference of five minutes is accepted."""
    signed = {name.title(): value for name, value in headers(PLAIN, BODY, 1_000).items()}
    verify([PLAIN], signed, BODY, 1_000 + TOLERANCE_SECONDS)
    verify([PLAIN], signed, BODY, 1_000 - TOLERANCE_SECONDS)


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        (PLAIN, None),
        ("8letters", None),
        ("~" * 255, None),
        ("whsec_" + "QUJD" * 8, None),
        ("whsec_" + "QUJD" * 21, None),
        ("7letter", "expected 8 to 255 characters, got 7"),
        ("~" * 256, "expected 8 to 255 characters, got 256"),
        ("with a space", "expected printable ASCII characters without spaces"),
        ("tab\tinside", "expected printable ASCII characters without spaces"),
        ("naïve-secret", "expected printable ASCII characters without spaces"),
        ("whsec_" + "QUJD" * 7, "expected 24 to 64 bytes of base64 after whsec_, got 21"),
        ("whsec_" + "QUJD" * 22, "expected 24 to 64 bytes of base64 after whsec_, got 66"),
        ("whsec_no-base-64-at-all!", "expected base64 after whsec_"),
        ("whsec_" + "QUJD" * 8 + "Q", "expected base64 after whsec_"),
    ],
)
def test_which_secrets_are_accepted(secret: str, problem: str | None) -> None:
    """8 to 255 printable ASCII characters; after ``whsec_`` 24 to 64 bytes of base64."""
    assert secret_problem(secret) == problem


@pytest.mark.parametrize("padding", ["=", "=="])
def test_needless_padding_is_refused(padding: str) -> None:
    """A receiver's library might not decode it."""
    assert secret_problem("whsec_" + "QUJD" * 8 + padding) == "expected base64 after whsec_"


def test_new_secrets_are_valid_and_differ() -> None:
    """32 random bytes."""
    made = {new_secret() for _ in range(20)}
    assert len(made) == 20
    sizes = {len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in made}
    assert ({secret_problem(secret) for secret in made}, sizes) == ({None}, {32})


def test_a_mask_shows_four_characters_and_no_length() -> None:
    """As documented: q9Nh, and stars."""
    assert [mask(PLAIN), mask(PLAIN * 20)] == ["q9Nh******"] * 2
