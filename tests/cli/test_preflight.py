"""Test that a node listens beyond loopback only with safe settings, or with ``allow_insecure``."""

import os
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest

from packhook.cli.preflight import is_loopback, problems
from packhook.settings import Settings
from support.processes import OPERATOR_KEY, READY, files, packhook, started

KEY: Final = "k1:6qD0O1mZ2Yx9nV8cK4rT7wPsJhLgFbEaUiCzXoMdQtA="
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
    return problems(Settings(**{**SAFE, **changes}))


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
    assert refusal(operator_key="k3y-0f-m1ne-only") == []
    assert refusal(operator_key="secret", host="127.0.0.1") == []
    (_, said, _) = refusal(operator_key="secret")
    assert said == "operator_key: expected at least 16 characters, got 6: it could be guessed"


@pytest.mark.parametrize(
    "url", ["hooks.example.com", "//hooks.example.com", "https://", "https:/a", "ftp://a", "https://a:port",
            "https://a?x", "https://a#x", "https://a b", "/v1", "https://a..b", "https://-a", "https://a,b",
            "https://a/../b", "https://a/%0d", "https://a//b", "https://127.1", "https://a:0", "https://a\\b",
            "https:a"],
)  # fmt: skip
@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_public_url_without_scheme_or_host_is_refused(url: str, host: str) -> None:
    """On any address: links of pages would lead nowhere."""
    assert f"public_url: expected a URL such as https://hooks.example.com, got {url!r}" in refusal(
        public_url=url, host=host, allow_insecure="public_url"
    )


def test_a_password_in_the_public_url_is_refused_and_not_repeated() -> None:
    """It would stand in every link."""
    (said,) = refusal(public_url="https://user:hunter2@hooks.example.com")
    assert said == "public_url: expected a URL such as https://hooks.example.com, got 'https://***@hooks.example.com'"


@pytest.mark.parametrize(
    "networks",
    ["0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/1,128.0.0.0/1", "::/1,8000::/1", "0.0.0.0/1", "128.0.0.0/1",
     "0.0.0.0/2,64.0.0.0/2", "8.0.0.0/6", "2000::/3", "::ffff:0:0/96", "::ffff:0.0.0.0/97"],
)  # fmt: skip
def test_trusting_a_large_part_of_all_addresses_is_refused(networks: str) -> None:
    """On any address, also in parts, and as IPv6: every client could claim any source."""
    (said,) = refusal(trusted_proxies=networks, host="127.0.0.1")
    assert said.startswith("trusted_proxies: expected the addresses of your proxies, got a large part of all")
    assert refusal(trusted_proxies="10.0.0.0/8,::1/128,fc00::/7,172.16.0.0/12,::ffff:10.0.0.0/104") == []


@pytest.mark.parametrize(
    "key", ["a" * 24, "changemechangeme", "1234567890123456", "abcdefghijklmnopqrst", "ababababababababab"]
)
def test_an_operator_key_that_is_a_pattern_is_refused_beyond_loopback(key: str) -> None:
    """Its length says nothing about how hard it is to guess."""
    said = refusal(operator_key=key)[1]
    assert said == "operator_key: expected random characters, got a pattern: it could be guessed"
    assert refusal(operator_key=key, host="127.0.0.1") == []


@pytest.mark.parametrize("key", [" " * 20, "k3y of m1ne only", "schl\u00fcssel-of-m1ne-only", "k3y-0f-m1ne-only\n"])
def test_an_operator_key_that_no_request_can_send_is_refused(key: str) -> None:
    """On any address: the node could not be used."""
    assert "operator_key: expected visible ASCII characters: no request could send this key" in refusal(
        operator_key=key, host="127.0.0.1"
    )


def test_a_master_key_that_is_a_pattern_is_refused_beyond_loopback() -> None:
    """Such as zeros, which an example may have."""
    zeros = f"k1:{'A' * 43}="
    assert refusal(master_keys=zeros)[1] == "master_keys: expected random bytes, got a pattern: it could be guessed"


@pytest.mark.parametrize(
    "network",
    ["0.0.0.0/32", "0.0.0.0/8", "127.0.0.1/32", "::/128", "::1/128", "::ffff:127.0.0.0/104", "169.254.169.254/32",
     "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128", "fe80::/64"],
)  # fmt: skip
def test_no_spelling_opens_this_machine_or_its_cloud(network: str) -> None:
    """Also addresses that Linux connects to loopback, and those of clouds' metadata."""
    assert refusal(egress_allow=network)[1].startswith("egress_allow: expected no network of this machine or its cloud")


@pytest.mark.parametrize(
    "url", ["sqlite:///:memory:", "sqlite:///x.db?mode=ro", "sqlite:///x.db#a", "sqlite:///file:x"]
)
def test_a_database_url_with_what_packhook_ignores_is_refused(url: str) -> None:
    """It would name another file than the one that is meant."""
    (said,) = refusal(database=url)
    assert said.startswith("database: expected the path of a file, got ")


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    """Before the database is made."""
    (tmp_path / "ca.pem").write_text("no certificate")
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path / "ca.pem", tmp_path / "missing.pem", tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        (said,) = refusal(ca_bundle=file)
        assert said.startswith(f"ca_bundle: expected a PEM file of certificates, got {file}")


def test_tracing_needs_its_extra_and_the_protocol_that_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say how the extra is installed; a node that could send no span would only log that for ever."""
    assert refusal(tracing=True) == []
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    lacking, protocol = refusal(tracing=True)
    assert lacking == "tracing: expected its libraries to be installed: pip install 'packhook[otel]'"
    assert protocol.startswith("tracing: OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf, got 'grpc'")
    assert refusal() == []


WRONG_VARIABLES: Final = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "collector:4318",
        "localhost",
        "ftp://collector",
        "http://",
        "http://a:0",
        "http://a b",
    ),
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ("collector", "http://[::1", "https://:4318", "http://a:99999"),
    "OTEL_EXPORTER_OTLP_HEADERS": ("S3CRET", "=S3CRET", "a=b,S3CRET"),
    "OTEL_EXPORTER_OTLP_COMPRESSION": ("brotli",),
    "OTEL_EXPORTER_OTLP_TIMEOUT": ("soon", "0", "-1", "nan", "inf", "\u0661"),
    "OTEL_EXPORTER_OTLP_CERTIFICATE": ("/missing.pem", "/dev/zero", "/"),
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": ("/missing.pem",),
    "OTEL_TRACES_SAMPLER": ("sometimes", "ratio"),
    "OTEL_BSP_MAX_QUEUE_SIZE": ("0", "many", "-5", "1e3", "100"),
    "OTEL_BSP_SCHEDULE_DELAY": ("0", "soon"),
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": ("many", "-1"),
    "OTEL_RESOURCE_ATTRIBUTES": ("a", "=b", "a=b,c"),
}


def test_variables_of_opentelemetry_are_checked_where_tracing_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named with what was expected, all at once; what may be a secret is not shown."""
    for name, values in WRONG_VARIABLES.items():
        for value in values:
            with monkeypatch.context() as only:
                only.setenv(name, value)
                (said,) = refusal(tracing=True)
            assert said.startswith("tracing: OTEL_"), said
            assert name in said
            assert "S3CRET" not in said
    for name, values in WRONG_VARIABLES.items():
        monkeypatch.setenv(name, values[0])
    assert len(refusal(tracing=True)) == len(WRONG_VARIABLES)
    assert refusal() == []
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:S3CRET@collector path")
    assert not any("S3CRET" in line for line in refusal(tracing=True))


def test_a_sampler_takes_a_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 0 to 1; a sampler that has none ignores it."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "2")
    assert refusal(tracing=True) == []
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "ParentBased_TraceIdRatio")
    assert refusal(tracing=True) == ["tracing: OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, got '2'"]
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.01")
    assert refusal(tracing=True) == []


async def test_serve_names_mistakes_before_it_makes_a_file(tmp_path: Path) -> None:
    """Exit 2 with all of them at once; an unknown variable too, with the nearest name."""
    wrong = {"public_url": "hooks", "trusted_proxies": "::/0", "operator_key": "a"}
    ran = await packhook("serve", "--port", "0", "--host", "0.0.0.0", folder=tmp_path, settings=wrong)  # noqa: S104 refused
    assert (ran.code, ran.out) == (2, "")
    assert set(wrong) <= {line.partition(":")[0] for line in ran.err.splitlines()}
    values = {"log_level": "loud", "ca_bundle": "missing.pem", "database": "sqlite:///:memory:", "retenton": "5d"}
    ran = await packhook("serve", "--port", "0", "--host", "0.0.0.0", folder=tmp_path, settings={**wrong, **values})  # noqa: S104 refused
    expected = {*wrong, "log_level", "ca_bundle", "database", "master_keys", "PACKHOOK_RETENTON"}
    assert expected <= {line.partition(":")[0] for line in ran.err.splitlines()}
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


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"host": "127.0.0.1", "port": 8080, "metrics_port": 8080}, "metrics_port"),
        ({"port": 8080, "metrics_port": 8080, "metrics_host": "::"}, "metrics_port"),
        (
            {
                "host": "::1",
                "metrics_host": "::",
                "port": 8081,
                "metrics_port": 8080,
                "processes": 2,
                "database": "postgresql://a@127.0.0.1/b",
            },
            "metrics_port",
        ),
        ({"metrics_port": 65_535, "processes": 2, "database": "postgresql://a@127.0.0.1/b"}, "metrics_port"),
        ({"operator_key": "Ab3" * 2_000}, "operator_key"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, Any], name: str) -> None:
    """Judge them together: each alone would do."""
    assert {line.partition(":")[0] for line in refusal(**given) if line.startswith(name)} == {name}


@pytest.mark.parametrize("metrics_port", [0, 8081, None])
def test_another_port_for_metrics_is_accepted(metrics_port: int | None) -> None:
    """A free one, or one that the API does not have."""
    assert refusal(port=8080, metrics_port=metrics_port) == []
