"""Test that a node listens beyond loopback only with safe settings, or with ``allow_insecure``."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest

from packhook.cli.preflight import is_loopback, reject_unsafe_listen
from packhook.core.errors import InvalidSettings
from packhook.settings import Settings
from support.processes import OPERATOR_KEY, READY, files, packhook, started

KEY: Final = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SAFE: Final = {
    "host": "192.0.2.1", "operator_key": "pho_chosen-by-the-operator", "master_keys": KEY, "public_url": "https://hooks.example.com",
}  # fmt: skip
UNSAFE: Final[dict[str, object]] = {
    "operator_key": "",
    "master_keys": "",
    "public_url": "http://hooks.example.com",
    "allow_http": True,
    "egress_allow": "10.1.0.0/16,127.0.0.0/8,::/0",
}


def refusal(**changes: Any) -> list[str]:  # noqa: ANN401 a field has its own type
    """Return the lines of the refusal; none if the settings are accepted."""
    try:
        reject_unsafe_listen(Settings(**{**SAFE, **changes}))
    except InvalidSettings as error:
        return error.detail.splitlines()
    return []


def test_safe_settings_listen_anywhere() -> None:
    """Own operator key, separate master keys, TLS in front; private networks may be open."""
    assert refusal() == []
    assert refusal(egress_allow=(ip_network("10.1.0.0/16"), ip_network("fd00::/8"))) == []


@pytest.mark.parametrize("name", UNSAFE)
def test_each_unsafe_setting_is_refused(name: str) -> None:
    """The message names it, says what was expected and given, and how to accept it."""
    first, said, last = refusal(**{name: UNSAFE[name]})
    assert first.startswith("host: other machines can reach 192.0.2.1")
    assert said.startswith(f"{name}: expected ")
    assert ", got " in said
    assert last.endswith(f"allow_insecure = {name!r}")


def test_all_unsafe_settings_are_named_at_once() -> None:
    """Settings that are already accepted stay in the proposed ``allow_insecure``."""
    lines = refusal(**UNSAFE)
    assert [line.partition(":")[0] for line in lines[1:-1]] == list(UNSAFE)
    assert "got 127.0.0.0/8, ::/0:" in lines[5]
    rest = refusal(**UNSAFE, allow_insecure="allow_http,public_url")
    assert [line.partition(":")[0] for line in rest[1:-1]] == ["operator_key", "master_keys", "egress_allow"]
    assert rest[-1].endswith("allow_insecure = 'allow_http,egress_allow,master_keys,operator_key,public_url'")


def test_an_accepted_setting_is_not_refused() -> None:
    """Accepting one setting does not accept the others."""
    assert refusal(**UNSAFE, allow_insecure=",".join(UNSAFE)) == []
    assert len(refusal(operator_key="", allow_http=True, allow_insecure=("allow_http",))) == 3


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("LocalHost", True),
        ("0.0.0.0", False),  # noqa: S104 refused
        ("::", False), ("10.0.0.1", False), ("fe80::1%eth0", False), ("hooks.example.com", False),
        ("localhost.example.com", False),
    ],
)  # fmt: skip
def test_which_hosts_are_loopback(host: str, *, loopback: bool) -> None:
    """A host that is not surely loopback counts as reachable by others."""
    assert is_loopback(host) is loopback
    assert (refusal(**UNSAFE, host=host) == []) is loopback


def test_short_operator_key_is_refused_beyond_loopback() -> None:
    """Accept 16 characters; say how many there are, and never what they are."""
    assert refusal(operator_key="a" * 16) == []
    assert refusal(operator_key="secret", host="127.0.0.1") == []
    (_, said, _) = refusal(operator_key="secret")
    assert said == "operator_key: expected at least 16 characters, got 6: it could be guessed"


@pytest.mark.parametrize(
    "url", ["hooks.example.com", "//hooks.example.com", "https://", "https:/a", "ftp://a", "https://a:port",
            "https://a?x", "https://a#x", "https://a b", "/v1"],
)  # fmt: skip
@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_public_url_without_scheme_or_host_is_refused(url: str, host: str) -> None:
    """On any address: links of pages would lead nowhere."""
    assert f"public_url: expected a URL such as https://hooks.example.com, got {url!r}" in refusal(
        public_url=url, host=host, allow_insecure="public_url"
    )


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/1,128.0.0.0/1", "::/1,8000::/1"])
def test_trusting_every_address_is_refused(networks: str) -> None:
    """On any address, also in parts: every client could claim any source."""
    (said,) = refusal(trusted_proxies=networks, host="127.0.0.1")
    assert said.startswith("trusted_proxies: expected the addresses of your proxies, got every address")
    assert refusal(trusted_proxies="10.0.0.0/8,::1/128,fc00::/7,0.0.0.0/1") == []


async def test_serve_names_mistakes_before_it_makes_a_file(tmp_path: Path) -> None:
    """Exit 2 with all of them at once; an unknown variable too, with the nearest name."""
    wrong = {"public_url": "hooks", "trusted_proxies": "::/0", "operator_key": "a"}
    ran = await packhook("serve", "--port", "0", "--host", "0.0.0.0", folder=tmp_path, settings=wrong)  # noqa: S104 refused
    assert (ran.code, ran.out) == (2, "")
    assert set(wrong) <= {line.partition(":")[0] for line in ran.err.splitlines()}
    ran = await packhook("serve", "--port", "0", folder=tmp_path, settings={"retenton": "5d", "processes": "x"})
    assert (ran.code, ran.out) == (2, "")
    assert "PACKHOOK_RETENTON: there is no such setting; did you mean PACKHOOK_RETENTION?" in ran.err
    assert "processes: " in ran.err
    assert files(tmp_path) == []


async def test_serve_refuses_before_it_listens(tmp_path: Path) -> None:
    """Exit 2, name every unsafe setting, create no database and print no key; with several nodes too."""
    for arguments in (("--host", "0.0.0.0"), ("--host", "::", "--processes", "2")):  # noqa: S104 refused
        settings = {"allow_http": "true", "egress_allow": "127.0.0.0/8"}
        ran = await packhook("serve", "--port", "0", *arguments, folder=tmp_path, settings=settings)
        assert (ran.code, ran.out) == (2, "")
        names = [line.partition(":")[0] for line in ran.err.splitlines()]
        assert set(UNSAFE) <= set(names)
    assert files(tmp_path) == []


async def test_serve_listens_if_the_operator_allows_it(tmp_path: Path) -> None:
    """``allow_insecure`` comes from the environment, like any setting."""
    settings = {"operator_key": OPERATOR_KEY, "allow_insecure": "master_keys, public_url"}
    async with started("serve", "--host", "0.0.0.0", "--port", "0", folder=tmp_path, settings=settings) as node:  # noqa: S104 as the test is about
        assert (await node.wait_for_line(READY)).startswith(f"{READY}http://0.0.0.0:")
