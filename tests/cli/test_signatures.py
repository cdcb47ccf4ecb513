"""Test ``packhook sign`` and ``packhook verify``: saved requests in every form, and what is said of a wrong one."""

import base64
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner, Result

from packhook.cli.exits import Exit
from packhook.cli.main import app

RAW: Final = "q9NhjkjV9o"
ENCODED: Final = "whsec_cGFja2hvb2stZXhhbXBsZS1zZWNyZXQtMzItYnl0ZXM="
BODY: Final = (
    b'{"id":"evt_1","type":"order.created","timestamp":"2026-08-02T09:30:00.000Z","organization_id":"acme",'
    b'"data":{"id":"ord_1","note":"Zo\xc3\xab"}}'
)
SIGNED_AT: Final = "2026-08-02T09:30:00Z"
A_MINUTE_LATER: Final = "2026-08-02T09:31:00Z"


def run(*words: str, given: bytes = b"", **variables: str) -> Result:
    """Run a command in this process; no profile and no variable but these."""
    nothing = {"XDG_CONFIG_HOME": "/nonexistent", "PACKHOOK_WEBHOOK_SECRET": None}
    return CliRunner().invoke(app, words, input=given, env={**nothing, **variables})


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str, bytes], str]:
    """Return a function that saves a file and returns its path."""

    def save(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return save


def signed_headers(save: Callable[[str, bytes], str], *secrets: str) -> str:
    """Sign the body at SIGNED_AT; return a file with the headers."""
    file = save("secrets", "\n".join(secrets).encode())
    body = save("body", BODY)
    ran = run("sign", "--body-file", body, "--secret-file", file, "--at", SIGNED_AT)
    assert ran.exit_code == Exit.DONE, ran.output
    return save("headers", ran.stdout_bytes)


@pytest.mark.parametrize("secret", [RAW, ENCODED], ids=["raw", "whsec_"])
def test_what_is_signed_is_verified(saved: Callable[[str, bytes], str], secret: str) -> None:
    """Sign a body with either kind of secret; verify headers and body, and the raw request, from a file and a pipe."""
    headers = signed_headers(saved, secret)
    file = saved("secret", secret.encode())
    when = ("--secret-file", file, "--at", A_MINUTE_LATER)
    ran = run("verify", "--headers-file", headers, "--body-file", saved("body", BODY), *when)
    expected = f"verified: evt_1  order.created of acme  signed at {SIGNED_AT}  attempt 1\n"
    assert (ran.exit_code, ran.output) == (Exit.DONE, expected)
    for end in (b"\n", b"\r\n"):
        raw = end.join([b"POST /hooks HTTP/1.1", *Path(headers).read_bytes().splitlines(), b"", BODY])
        assert run("verify", saved("request", raw), *when).output == expected
        assert run("verify", *when, given=raw).output == expected
        assert run("verify", "-", "--at", A_MINUTE_LATER, given=raw, PACKHOOK_WEBHOOK_SECRET=secret).output == expected


def test_the_headers_are_those_of_standard_webhooks() -> None:
    """Sign id, time and body with the secret of the environment; the id is that in the body."""
    words = ("sign", "--body-file", "-", "--at", SIGNED_AT, "--output", "json")
    headers = json.loads(run(*words, given=BODY, PACKHOOK_WEBHOOK_SECRET=RAW).output)["headers"]
    token = base64.b64encode(hmac.digest(RAW.encode(), b"evt_1.1785663000." + BODY, "sha256")).decode()
    expected = {"webhook-id": "evt_1", "webhook-timestamp": "1785663000", "webhook-signature": f"v1,{token}"}
    assert headers == expected


def test_a_signed_raw_request_keeps_every_byte(saved: Callable[[str, bytes], str]) -> None:
    """Print the request with its signature in place of one that is there; the body ends as it did."""
    request = b"POST /x HTTP/1.1\nHost: a\nWebhook-Id: evt_9\nwebhook-signature: v1,old\n\n" + BODY + b"\n\xff"
    words = ("--secret-file", saved("secret", RAW.encode()))
    ran = run("sign", saved("request", request), *words, "--at", SIGNED_AT)
    head, _, body = ran.stdout_bytes.partition(b"\r\n\r\n")
    assert body == BODY + b"\n\xff"
    assert head.splitlines()[:3] == [b"POST /x HTTP/1.1", b"Host: a", b"webhook-id: evt_9"]
    assert (head.count(b"webhook-id"), head.count(b"webhook-signature"), b"old" in head) == (1, 1, False)
    ran = run("verify", *words, "--any-age", given=ran.stdout_bytes)
    assert (ran.exit_code, "evt_9" in ran.output) == (Exit.DONE, True)


def test_any_of_several_secrets_verifies(saved: Callable[[str, bytes], str]) -> None:
    """Sign with two secrets; verify with one of them, and with one of two."""
    headers = signed_headers(saved, "another-secret", RAW)
    words = ("verify", "--headers-file", headers, "--body-file", saved("body", BODY), "--any-age")
    for secrets in (("--secret", RAW), ("--secret", "not-this-one", "--secret", "another-secret")):
        assert run(*words, *secrets).exit_code == Exit.DONE


def _without(headers: bytes, name: bytes) -> bytes:
    return b"".join(line for line in headers.splitlines(keepends=True) if not line.startswith(name))


WRONG: Final[dict[str, tuple[tuple[str, bytes], str, str, str]]] = {
    "too old": (("", b""), "2026-08-02T10:00:00Z", "too_old", "1800 s in the past"),
    "too new": (("", b""), "2026-08-02T09:00:00Z", "too_new", "1800 s in the future"),
    "wrong secret": (("secret", b"not-the-secret"), A_MINUTE_LATER, "signature_mismatch", "this webhook's secret"),
    "a secret with its prefix lost": (("secret", ENCODED[6:].encode()), A_MINUTE_LATER, "wrong_secret", "whsec_"),
    "body changed": (("body", BODY + b"\n"), A_MINUTE_LATER, "body_changed", "line break"),
    "header missing": (("webhook-id", b""), A_MINUTE_LATER, "header_missing", "webhook-id"),
    "a time that is none": (("webhook-timestamp", b"soon"), A_MINUTE_LATER, "malformed", "webhook-timestamp"),
}


@pytest.mark.parametrize("case", WRONG)
def test_it_says_what_is_wrong(saved: Callable[[str, bytes], str], case: str) -> None:
    """Exit 1 with a code and words, as text and as JSON."""
    (changed, content), at, code, words = WRONG[case]
    head = Path(signed_headers(saved, ENCODED)).read_bytes()
    secret, body = ENCODED.encode(), BODY
    if changed == "secret":
        secret = content
    elif changed == "body":
        body = content
    elif changed:
        name = changed.encode()
        head = _without(head, name) + (b"%b: %b\n" % (name, content) if content else b"")
    files = ("--headers-file", saved("headers", head), "--body-file", saved("body", body))
    given = ("verify", *files, "--secret-file", saved("secret", secret), "--at", at)
    ran = run(*given)
    assert (ran.exit_code, ran.output.startswith(f"NOT VERIFIED ({code}): "), words in ran.output) == (1, True, True)
    found = json.loads(run(*given, "--output", "json").output)
    assert (found["verified"], found["code"], words in found["reason"]) == (False, code, True)


def test_an_old_request_is_accepted_on_request(saved: Callable[[str, bytes], str]) -> None:
    """With --any-age however old it is; with --tolerance up to that."""
    words = (
        "verify",
        "--headers-file",
        signed_headers(saved, RAW),
        "--body-file",
        saved("body", BODY),
        "--secret",
        RAW,
    )
    assert run(*words, "--any-age").exit_code == Exit.DONE
    later = ("--at", "2026-08-02T10:00:00Z")
    assert [run(*words, *later, "--tolerance", wait).exit_code for wait in ("29m", "31m")] == [1, 0]


@pytest.mark.parametrize(
    ("words", "given", "message"),
    [
        (("verify",), b"", "no secret: give --secret-file"),
        (("verify", "--secret", "short"), b"", "secret: expected 8 to 255 characters"),
        (("verify", "--secret", RAW), b"no request", "no empty line between headers and body"),
        (("verify", "--secret", RAW), b"POST / HTTP/1.1\nnothing\n\n", "expected a header NAME: VALUE"),
        (("verify", "--secret", RAW, "--headers-file", "x"), b"", "--headers-file needs --body-file"),
        (("verify", "--secret", RAW, "x", "--body-file", "y"), b"", "not both"),
        (("verify", "--secret", RAW, "/nonexistent"), b"", "cannot read /nonexistent"),
        (("verify", "--secret-file", "-", "-"), b"", "one file only"),
        (("verify", "--secret", RAW, "--at", "soon"), b"\n\n", "--at: expected a time"),
        (("verify", "--secret", RAW, "--tolerance", "soon"), b"\n\n", "--tolerance: expected a duration"),
        (("verify", "--secret", RAW, "--tolerance", "5m", "--any-age"), b"\n\n", "has no effect with"),
        (("sign", "--secret", RAW), b"x" * (4 * 1024 * 1024 + 1), "is longer than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_clear_is_a_usage_error(words: tuple[str, ...], given: bytes, message: str) -> None:
    """Exit 2 with a message, and no traceback."""
    ran = run(*words, given=given)
    assert (ran.exit_code, ran.stdout, message in ran.stderr) == (Exit.USAGE, "", True), ran.stderr
