"""Find out why a signature does not match, as far as that can be shown.

An HMAC that does not match says nothing more. But some mistakes can be undone: if the signature matches a body without
the line break that was added to it, then the secret is right and the line break is the fault.
"""

import binascii
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from packhook_client.receiving.delivery import parse_object
from packhook_client.receiving.refusals import BodyChanged, SignatureMismatch, WrongSecret
from packhook_client.receiving.signing_key import PREFIX, SigningKey, decode_base64

_LARGEST: Final = 64 * 1024
"""Bodies above this many bytes are not tried: a forged request must not cost much."""
_BOM: Final = b"\xef\xbb\xbf"
_COMPACT: Final = (",", ":")
_SPACED: Final = (", ", ": ")
_RAW_BODY: Final = "verify the raw bytes of the request, before anything parses them"


def explain(
    secrets: Sequence[str], start: bytes, body: bytes, tokens: Sequence[bytes], headers: Mapping[str, str]
) -> SignatureMismatch:
    """Return the error of a signature that does not match ``start + body``, with what can be shown about the cause."""
    if len(body) <= _LARGEST:
        keys = [SigningKey.of(secret) for secret in secrets]
        for change, original in _originals(body):
            if any(_matches(key, start + original, tokens) for key in keys):
                return BodyChanged(f"the secret is right, but the body was changed after it was signed: {change}")
        for secret in secrets:
            for mistake, key in _other_forms(secret):
                if _matches(key, start + body, tokens):
                    return WrongSecret(f"the body is right, but a secret is not: {mistake}")
    length = headers.get("content-length", "")
    if length != str(len(body)) and length.isdigit() and not headers.get("content-encoding"):
        return BodyChanged(
            f"the body has {len(body)} bytes, but content-length says {length}: "
            f"it was changed or cut after it arrived; {_RAW_BODY}"
        )
    problem = "the secret is wrong or the body was changed; the signature alone cannot tell which. Check:"
    return SignatureMismatch(problem, *_likely_causes(len(secrets), start, body))


def _matches(key: SigningKey, message: bytes, tokens: Sequence[bytes]) -> bool:
    expected = key.token(message)
    matches = [hmac.compare_digest(expected, token) for token in tokens]
    return any(matches)


def _originals(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield bodies that may have become this one, each with what was done to it."""
    if body.startswith(_BOM):
        yield "a byte order mark was added", body.removeprefix(_BOM)
    if body != body.strip():
        yield "white space was added around it, such as a line break", body.strip()
    yield "the line break at its end was removed", body + b"\n"
    if b"\r\n" in body:
        yield "its line breaks became CR LF", body.replace(b"\r\n", b"\n")
    parsed = parse_object(body)
    if parsed is not None:
        with suppress(RecursionError):  # too deep to write, though it could be read
            for original in _serialized(parsed):
                yield f"it was parsed and serialized again; {_RAW_BODY}", original


def _serialized(parsed: dict[str, Any]) -> Iterator[bytes]:
    """Yield the usual ways to write an object, with packhook's own form: a compact envelope around published data."""
    for ensure_ascii in (False, True):
        for separators in (_COMPACT, _SPACED):
            whole = json.dumps(parsed, ensure_ascii=ensure_ascii, separators=separators)
            yield whole.encode("utf-8", "surrogatepass")
    names = ("id", "type", "timestamp", "organization_id")
    if parsed.keys() == {*names, "data"}:
        head = json.dumps({name: parsed[name] for name in names}, ensure_ascii=False, separators=_COMPACT)
        for ensure_ascii in (False, True):
            for separators in (_SPACED, _COMPACT):
                data = json.dumps(parsed["data"], ensure_ascii=ensure_ascii, separators=separators)
                yield f'{head[:-1]},"data":{data}}}'.encode("utf-8", "surrogatepass")


def _other_forms(secret: str) -> Iterator[tuple[str, SigningKey]]:
    """Yield keys that the same text gives if it is read in another way, each with the mistake."""
    if secret.startswith(PREFIX):
        yield (
            f"the sender's secret is this text without base64: does {PREFIX} belong to it?",
            SigningKey(secret.encode()),
        )
        yield (
            f"your secret has the prefix {PREFIX}, the one that signed has not",
            SigningKey(secret.removeprefix(PREFIX).encode()),
        )
        return
    try:
        yield f"your secret lacks the prefix {PREFIX}, the one that signed has it", SigningKey(decode_base64(secret))
    except (binascii.Error, ValueError):
        return


def _likely_causes(secrets: int, start: bytes, body: bytes) -> Iterator[str]:
    """Yield what to check, most likely first. A body that is not like packhook's was probably changed."""
    message_id = start.decode("utf-8", "replace").partition(".")[0]
    whose = "is it this webhook's secret?" if secrets == 1 else f"is one of the {secrets} secrets this webhook's?"
    wrong_secret = f"{whose} Each webhook has its own, and after a rotation the old one ends"
    changed = f"was the body parsed and serialized again, or changed by a proxy or middleware? {_RAW_BODY}"
    if body.startswith(f'{{"id":"{message_id}","type":"'.encode()):
        yield wrong_secret
        yield changed
        return
    parsed = parse_object(body)
    if not body:
        yield f"the body is empty: was it read before? {_RAW_BODY}"
    elif parsed is None:
        yield "the body is not a JSON object: packhook sends one"
    elif "id" in parsed and parsed["id"] != message_id:
        yield "the body's id is not that of webhook-id: they belong to different messages"
    yield changed
    yield wrong_secret
