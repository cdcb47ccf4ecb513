"""Test the settings of a node: defaults < file < environment < flags, read once, and every error reported at once."""

import os
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND
from packhook.core.durations import parse_duration
from packhook.core.egress_proxy import Proxy, parse_proxy
from packhook.core.errors import InvalidSettings, StartError
from packhook.settings import DEFAULT_SCHEDULE, Settings
from packhook.settings_sources import FILE_SETTINGS, load_settings
from packhook.store.open import require_database_url

WriteFile = Callable[..., Path]
MASTER_KEY: Final = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
EVERYTHING_WRONG: Final = {
    "port": "70000", "metrics_port": "70000", "metrics_host": "", "access_log": "perhaps", "tracing": "perhaps",
    "processes": "0", "master_keys": "k1:short", "allow_http": "perhaps",
    "require_endpoint_verification": "perhaps", "verification_origin": "a b",
    "egress_allow": "10.0.0.1/8", "egress_proxy": "proxy:3128", "allow_insecure": "host",
    "trusted_proxies": "proxy.internal", "host": "127.0.0.1\n",
    "retry_schedule": "5s,soon", "secret_proof_interval": "2h", "attempt_timeout": "31s", "max_in_flight": "0",
    "max_in_flight_per_webhook": "0", "max_queued_deliveries": "0", "max_pending_publishes": "0",
    "max_request_bytes": "1023", "api_key_rate_limit": "-1",
    "max_connections": "0", "max_webhooks_per_organization": "0",
    "max_buffered_body_bytes": "1048575", "max_buffered_read_bytes": "1048575",
    "organization_rate_limit": "nan", "lease_duration": "34s", "retention": "59s",
    "disable_after": "59s", "shutdown_grace": "-1s", "drain_delay": "11m", "operator_organization": "acme inc",
    "audit_retention": "59s", "replay_rate": "0",
    "portal_name": "n" * 61, "portal_logo_url": "http://shop.example/logo.svg", "portal_color": "green",
    "portal_frame_ancestors": "https://shop.example;script-src",
    "log_level": "loud", "log_format": "xml",
}  # fmt: skip
TAKES_ANY_TEXT: Final = {"database", "public_url", "operator_key", "ca_bundle"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove settings files and variables from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("PACKHOOK_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> WriteFile:
    """Write packhook.toml in the working directory."""

    def write(text: str, name: str = "packhook.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


def loaded(**flags: Any) -> Settings:  # noqa: ANN401 a flag has the type of its field
    """Load settings with flags from a table."""
    return load_settings(**flags)


def errors_of(**flags: Any) -> dict[str, str]:  # noqa: ANN401 a flag has the type of its field
    """Return the errors by setting."""
    with pytest.raises(InvalidSettings) as refused:
        load_settings(**flags)
    return dict(line.split(": ", 1) for line in refused.value.detail.splitlines())


def given_settings(settings: Settings) -> dict[str, object]:
    """Return the settings that were given."""
    return settings.model_dump(include=settings.model_fields_set)


def test_without_settings_everything_is_the_default() -> None:
    """No setting counts as given."""
    settings = load_settings()
    assert given_settings(settings) == {}
    assert settings.model_dump() == {name: field.default for name, field in Settings.model_fields.items()}


def test_the_documented_defaults() -> None:
    """15 s an attempt, ten attempts, 30 days; https only, every denied network stays denied, loopback only."""
    settings = load_settings()
    assert settings.retry_schedule == DEFAULT_SCHEDULE
    assert (settings.attempt_timeout, settings.retention) == (15 * SECOND, 30 * DAY)
    assert (settings.allow_http, settings.egress_allow, settings.host) == (False, (), "127.0.0.1")


def test_every_default_is_a_valid_value() -> None:
    """A start does not check defaults, so this test does."""
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    durations = [
        "attempt_timeout", "lease_duration", "retention", "disable_after", "drain_delay", "shutdown_grace",
        "secret_proof_interval",
    ]  # fmt: skip
    given_as_text = {name: f"{defaults[name]}ms" for name in durations}
    given_as_text["audit_retention"] = "365d"
    given_as_text["retry_schedule"] = "5s,5m,30m,2h,5h,10h,14h,20h,24h"
    assert loaded(**(defaults | given_as_text)).model_dump() == defaults


@pytest.mark.parametrize(
    ("sources", "port"),
    [
        ((None, None, None), 8080), ((1, None, None), 1), ((None, 2, None), 2), ((None, None, 3), 3), ((1, 2, None), 2),
        ((1, None, 3), 3), ((None, 2, 3), 3), ((1, 2, 3), 3), ((1, 2, 0), 0),
    ],
)  # fmt: skip
def test_the_order_of_sources(
    sources: tuple[int | None, int | None, int | None], port: int, file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """defaults < file < environment < flags; a flag that is None was not given, one that is 0 was."""
    in_file, in_environment, as_flag = sources
    if in_file is not None:
        file(f"port = {in_file}")
    if in_environment is not None:
        monkeypatch.setenv("PACKHOOK_PORT", str(in_environment))
    assert load_settings(port=as_flag).port == port


def test_sources_are_merged(file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting by setting, not source by source."""
    file('host = "file"\npublic_url = "file"\nlog_level = "debug"')
    monkeypatch.setenv("PACKHOOK_HOST", "environment")
    monkeypatch.setenv("PACKHOOK_PUBLIC_URL", "environment")
    assert given_settings(load_settings(host="flag")) == {
        "host": "flag",
        "public_url": "environment",
        "log_level": "debug",
    }


@pytest.mark.parametrize(("name", "default"), [("allow_http", False), ("port", 8080), ("shutdown_grace", "20s")])
def test_a_given_default_value_wins_over_lower_sources(name: str, default: object, file: WriteFile) -> None:
    """A value that equals the default counts as given, so a file does not replace it."""
    file('allow_http = true\nport = 1\nshutdown_grace = "1s"')
    assert getattr(loaded(**{name: default}), name) == Settings.model_fields[name].default


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One error has a line for each."""
    for name, value in EVERYTHING_WRONG.items():
        monkeypatch.setenv(f"PACKHOOK_{name.upper()}", value)
    assert {name.split(".")[0] for name in errors_of()} == set(EVERYTHING_WRONG)


def test_every_setting_that_can_be_wrong_is_in_the_table() -> None:
    """Each setting has a value here that it refuses, or is listed as one that refuses none."""
    assert set(EVERYTHING_WRONG) | TAKES_ANY_TEXT == set(Settings.model_fields)
    assert not set(EVERYTHING_WRONG) & TAKES_ANY_TEXT


@pytest.mark.parametrize(
    ("name", "words"),
    [("port", "got 70000"), ("log_level", "got 'loud'"), ("attempt_timeout", "30s"), ("lease_duration", "35s")],
)
def test_the_error_of_a_setting_has_the_expected_and_the_given_value(name: str, words: str) -> None:
    """Both in the notation of settings."""
    value = int(EVERYTHING_WRONG[name]) if name == "port" else EVERYTHING_WRONG[name]
    assert words in errors_of(**{name: value})[name]


def test_mistakes_of_all_sources_are_one_error(file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error at start, which the command line prints."""
    file('log_level = "loud"\nverbose = true')
    monkeypatch.setenv("PACKHOOK_LEASE_DURATION", "1s")
    assert set(errors_of(port="x", nothing=1)) == {"log_level", "verbose", "lease_duration", "port", "nothing"}
    assert issubclass(InvalidSettings, StartError)


def test_a_secret_may_be_in_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Read what ``PACKHOOK_…_FILE`` names, without white space around it."""
    (tmp_path / "key").write_text("pho_from-a-file\n")
    monkeypatch.setenv("PACKHOOK_OPERATOR_KEY_FILE", str(tmp_path / "key"))
    assert load_settings().operator_key == "pho_from-a-file"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot read"), (b"", "is empty"), (b"\xff", "is not UTF-8"), (b"k" * 65_537, "has more than 65536 bytes")],
    ids=["missing", "empty", "bytes", "large"],
)
def test_a_secret_that_cannot_be_read_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, said: str
) -> None:
    """Name the variable and the file, and nothing that is in it."""
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("PACKHOOK_OPERATOR_KEY_FILE", str(tmp_path / "key"))
    found = errors_of()["PACKHOOK_OPERATOR_KEY_FILE"]
    assert str(tmp_path / "key") in found
    assert said in found


def test_a_named_pipe_without_a_writer_does_not_hold_up_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is refused; what is written into one is read."""
    os.mkfifo(tmp_path / "key")
    monkeypatch.setenv("PACKHOOK_OPERATOR_KEY_FILE", str(tmp_path / "key"))
    assert "it is a pipe without a writer" in errors_of()["PACKHOOK_OPERATOR_KEY_FILE"]
    read, write = os.pipe()
    os.write(write, b"pho_from-a-pipe\n")
    os.close(write)
    monkeypatch.setenv("PACKHOOK_OPERATOR_KEY_FILE", f"/dev/fd/{read}")
    assert loaded().operator_key == "pho_from-a-pipe"
    os.close(read)


def test_a_file_without_an_end_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read up to its limit."""
    monkeypatch.setenv("PACKHOOK_MASTER_KEYS_FILE", "/dev/zero")
    assert "it has more than" in errors_of()["PACKHOOK_MASTER_KEYS_FILE"]


@pytest.mark.parametrize(
    "url", ["u:S3CRET@h/x", "postgres:S3CRET@h/x", "S3CRET", "mysql://u:S3CRET@h/x", "u:S3/CRET@h"]
)
def test_no_part_of_a_database_url_that_is_not_understood_is_shown(url: str) -> None:
    """Any of it may be the password: the scheme was forgotten, or the password is not encoded."""
    with pytest.raises(InvalidSettings) as refused:
        require_database_url(Settings(database=url))
    assert "CRET" not in refused.value.detail
    assert "S3" not in refused.value.detail


@pytest.mark.parametrize("proxy", ["http://u:S3CRET", "u:S3CRET", "http://u:S3CRET@", "http://u:S3@CRET@h:1/"])
def test_no_part_of_a_proxy_that_is_not_understood_is_shown(proxy: str) -> None:
    """Not even where its host was forgotten."""
    with pytest.raises(ValueError, match="expected a proxy") as refused:
        parse_proxy(proxy)
    assert "S3" not in str(refused.value)


def test_a_proxy_without_a_password_is_shown() -> None:
    """People see their mistake."""
    with pytest.raises(ValueError, match=r"got 'proxy\.internal:3128'"):
        parse_proxy("proxy.internal:3128")


def test_a_database_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """SQLite would make files beside a device, and says of a folder that it cannot be opened."""
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(InvalidSettings, match="which is no file"):
            require_database_url(Settings(database=f"sqlite:///{path}"))


def test_a_secret_given_twice_is_a_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the file nor the variable wins."""
    monkeypatch.setenv("PACKHOOK_OPERATOR_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("PACKHOOK_OPERATOR_KEY", "pho_from-a-variable")
    assert "got both" in errors_of()["PACKHOOK_OPERATOR_KEY_FILE"]


def test_only_secrets_may_be_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse the variable for any other setting."""
    monkeypatch.setenv("PACKHOOK_PORT_FILE", "/port")
    assert "there is no such setting" in errors_of()["PACKHOOK_PORT_FILE"]
    assert {"operator_key", "master_keys", "database", "egress_proxy"} <= set(FILE_SETTINGS)


def test_variables_of_platforms_are_fallbacks(file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take ``DATABASE_URL`` and ``PORT`` where nothing else says it."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://packhook@db/packhook")
    monkeypatch.setenv("PORT", "5000")
    assert (load_settings().database, load_settings().port) == ("postgresql://packhook@db/packhook", 5000)
    file('database = "sqlite:///own.db"')
    monkeypatch.setenv("PACKHOOK_PORT", "5001")
    assert (load_settings().database, load_settings().port) == ("sqlite:///own.db", 5001)


def test_an_overridden_mistake_is_ignored(file: WriteFile) -> None:
    """Only the effective value is checked."""
    file("port = 70000")
    assert load_settings(port=1).port == 1


@pytest.mark.parametrize("name", ["verbose", "prot", "PACKHOOK_PORT", "retry-schedule", "listen.port"])
def test_an_unknown_key_of_the_file_is_refused(name: str, file: WriteFile) -> None:
    """A typing error must not be ignored."""
    file(f"{name} = 1")
    assert set(errors_of()) == {name.partition(".")[0]}


def test_an_unknown_key_of_the_file_has_the_nearest_name(file: WriteFile) -> None:
    """In the words for variables; a name in upper case is unknown too."""
    file('retenton = "5d"\nRETENTION = "5d"\nzzz = 1')
    assert errors_of() == {
        "retenton": "there is no such setting; did you mean retention?",
        "RETENTION": "there is no such setting; did you mean retention?",
        "zzz": "there is no such setting: remove it, or see the list of settings",
    }


def test_a_boolean_is_no_number(file: WriteFile) -> None:
    """Python counts ``true`` as 1."""
    file("max_connections = true\napi_key_rate_limit = false")
    assert errors_of() == {
        "max_connections": "expected a number, got true",
        "api_key_rate_limit": "expected a number, got false",
    }


def test_a_byte_order_mark_is_no_part_of_the_file(file: WriteFile) -> None:
    """Some editors write one."""
    file("\ufeffport = 1")
    assert given_settings(load_settings()) == {"port": 1}


def test_two_variables_for_one_setting_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one counts would depend on their order."""
    monkeypatch.setenv("PACKHOOK_PORT", "1")
    monkeypatch.setenv("packhook_port", "2")
    assert errors_of() == {"PACKHOOK_PORT": "expected one variable, got 2 that differ in upper and lower case"}


def test_what_is_wrong_is_checked_as_absent() -> None:
    """A check sees valid settings and the names of the wrong ones, and its lines join the others."""
    seen: dict[str, object] = {}

    def check(settings: Settings, wrong: frozenset[str]) -> list[str]:
        seen.update(port=settings.port, host=settings.host, wrong=wrong)
        return ["host: not this one"]

    with pytest.raises(InvalidSettings) as refused:
        load_settings(check=check, port="x", host="other")
    assert seen == {"port": 8080, "host": "other", "wrong": frozenset({"port"})}
    assert [line.partition(":")[0] for line in refused.value.detail.splitlines()] == ["port", "host"]


@pytest.mark.parametrize("name", ["retention", "audit_retention", "disable_after", "shutdown_grace", "lease_duration"])
def test_a_duration_has_a_limit(name: str) -> None:
    """A hundred years, so that no instant overflows."""
    assert errors_of(**{name: "9999999999d"}) == {name: "expected at most 36500d, got '9999999999d'"}


def test_other_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """PACKHOOK_KEY and others belong to the client commands."""
    monkeypatch.setenv("PACKHOOK_KEY", "pk_1")
    assert given_settings(load_settings()) == {}


@pytest.mark.parametrize("text", ["port =", "port = 1\nport = 2", "= 1", "[", 'host = "\\q"'])
def test_a_file_that_is_no_toml_is_refused(text: str, file: WriteFile) -> None:
    """The error names it."""
    file(text)
    with pytest.raises(InvalidSettings, match=r"^packhook\.toml is not valid TOML: "):
        load_settings()


def test_packhook_config_names_the_file(file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read instead of packhook.toml."""
    file('port = 1\nhost = "unread"')
    monkeypatch.setenv("PACKHOOK_CONFIG", str(file("port = 2", "other.toml")))
    assert given_settings(load_settings()) == {"port": 2}


def test_the_flag_for_the_file_wins_over_the_variable(file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags override the environment here too."""
    monkeypatch.setenv("PACKHOOK_CONFIG", str(file("port = 2", "other.toml")))
    assert given_settings(load_settings(file("port = 3", "third.toml"))) == {"port": 3}


def test_an_empty_packhook_config_names_no_file(file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """packhook.toml is read, as without the variable."""
    file("port = 1")
    monkeypatch.setenv("PACKHOOK_CONFIG", "")
    assert given_settings(load_settings()) == {"port": 1}


@pytest.mark.parametrize("by_flag", [True, False])
@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_named_file_must_exist(name: str, by_flag: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting with defaults instead would hide the mistake."""
    if not by_flag:
        monkeypatch.setenv("PACKHOOK_CONFIG", name)
    with pytest.raises(InvalidSettings, match=f"settings file {name}"):
        load_settings(Path(name) if by_flag else None)


def test_no_other_file_is_read(tmp_path: Path) -> None:
    """A .env file belongs to another program."""
    (tmp_path / ".env").write_text("PACKHOOK_PORT=1")
    assert given_settings(load_settings()) == {}


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0s", 0), ("250ms", 250), ("0.2s", 200), ("5s", 5 * SECOND), ("30m", 30 * MINUTE), ("1.5h", 90 * MINUTE),
        ("2h", 2 * HOUR), ("3d", 3 * DAY), (" 5s ", 5 * SECOND), ("007s", 7 * SECOND), ("0.1234s", 123),
    ],
)  # fmt: skip
def test_durations(text: str, milliseconds: int) -> None:
    """A number and a unit; milliseconds, rounded."""
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "5", "s", "5 s", "5S", "-5s", "+5s", "5s5s", "1m30s", "5sec", "1e3s", ".5s", "5.s", "5,5s", "1_0s", "inf",
     "nan s", "\u0665s", "5s\n5s", "1.1234567s", "12345678901s", 5, 5.0, True, None, ["5s"]],
)  # fmt: skip
def test_invalid_durations(text: object) -> None:
    """A number without a unit is refused, not guessed; the error has the given value."""
    with pytest.raises(ValueError, match="expected a duration such as 250ms, 5s, 30m, 2h or 3d, got ") as refused:
        parse_duration(text)
    assert str(refused.value).endswith(repr(str(text)))


@given(
    st.integers(0, 9_999_999_999), st.sampled_from([("ms", 1), ("s", SECOND), ("m", MINUTE), ("h", HOUR), ("d", DAY)])
)
def test_whole_durations_are_exact(number: int, unit: tuple[str, int]) -> None:
    """No fraction of a millisecond is lost."""
    assert parse_duration(f"{number}{unit[0]}") == number * unit[1]


@pytest.mark.parametrize(
    ("name", "least", "below"),
    [
        ("attempt_timeout", "1s", "999ms"), ("lease_duration", "35s", "34999ms"), ("retention", "1m", "59999ms"),
        ("disable_after", "1m", "59999ms"), ("audit_retention", "1m", "59999ms"),
    ],
)  # fmt: skip
def test_the_minimum_of_a_duration(name: str, least: str, below: str) -> None:
    """To the millisecond."""
    assert getattr(loaded(**{name: least}), name) == parse_duration(least)
    assert set(errors_of(**{name: below})) == {name}


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("5s", (5 * SECOND,)), ("5s,5m,2h", (5 * SECOND, 5 * MINUTE, 2 * HOUR)),
        (" 5s , 5m ", (5 * SECOND, 5 * MINUTE)), ("5s,,5m,", (5 * SECOND, 5 * MINUTE)), ("0s,7d", (0, 7 * DAY)),
        ("", ()), (" , ", ()),
    ],
)  # fmt: skip
def test_schedules(text: str, schedule: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are separated by commas; an empty schedule means a single attempt."""
    monkeypatch.setenv("PACKHOOK_RETRY_SCHEDULE", text)
    assert given_settings(load_settings()) == {"retry_schedule": schedule}


@pytest.mark.parametrize("text", ["5s,soon", "5s;5m", "5", "7d,8d", '["5s"]', "-1s"])
def test_invalid_schedules(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait is a duration of at most seven days."""
    monkeypatch.setenv("PACKHOOK_RETRY_SCHEDULE", text)
    assert {name.split(".")[0] for name in errors_of()} == {"retry_schedule"}


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("127.0.0.0/8", ["127.0.0.0/8"]), ("127.0.0.0/8,::1/128", ["127.0.0.0/8", "::1/128"]),
        (" 10.0.0.0/8 , fd00::/8 ", ["10.0.0.0/8", "fd00::/8"]), ("127.0.0.1,::1", ["127.0.0.1/32", "::1/128"]),
        ("10.0.0.0/255.0.0.0", ["10.0.0.0/8"]), (",10.0.0.0/8,,", ["10.0.0.0/8"]),
        ("0.0.0.0/0,::/0", ["0.0.0.0/0", "::/0"]), ("", []),
    ],
)  # fmt: skip
def test_networks(text: str, networks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """CIDR, separated by commas; a single address is a network of one."""
    monkeypatch.setenv("PACKHOOK_EGRESS_ALLOW", text)
    assert given_settings(load_settings()) == {"egress_allow": tuple(ip_network(network) for network in networks)}


@pytest.mark.parametrize(
    "text",
    ["localhost", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10", "10.0.0.0/8;::1", "[::1]", "fe80::1%eth0/64x"],
)
def test_invalid_networks(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits after the mask are a mistake, and a name is no network."""
    monkeypatch.setenv("PACKHOOK_EGRESS_ALLOW", text)
    assert set(errors_of()) == {"egress_allow"}


def test_lists_of_the_file_are_arrays_or_text(file: WriteFile) -> None:
    """Both mean the same."""
    file('retry_schedule = ["5s", "2h"]\negress_allow = ["127.0.0.0/8", "::1"]')
    as_arrays = given_settings(load_settings())
    file('retry_schedule = "5s,2h"\negress_allow = "127.0.0.0/8,::1"')
    networks = (ip_network("127.0.0.0/8"), ip_network("::1"))
    assert (
        as_arrays == given_settings(load_settings()) == {"retry_schedule": (5_000, 7_200_000), "egress_allow": networks}
    )


@pytest.mark.parametrize("name", ["retry_schedule", "egress_allow", "master_keys", "allow_insecure"])
@pytest.mark.parametrize("value", ["5", "true", "{a = 1}"])
def test_a_list_of_the_file_is_an_array_or_text_only(name: str, value: str, file: WriteFile) -> None:
    """A number is no list."""
    file(f"{name} = {value}")
    assert set(errors_of()) == {name}


@pytest.mark.parametrize("value", ["[1]", "[[]]", "[true]"])
def test_networks_of_the_file_must_be_text(value: str, file: WriteFile) -> None:
    """Another type in the array is a wrong setting, not a crash."""
    file(f"egress_allow = {value}")
    assert set(errors_of()) == {"egress_allow"}


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """TOML is UTF-8; the error says so."""
    (tmp_path / "packhook.toml").write_bytes(b'public_url = "http://b\xfccher.example"')
    with pytest.raises(InvalidSettings, match=r"packhook\.toml"):
        load_settings()


@pytest.mark.parametrize(
    "name", ["port", "allow_http", "attempt_timeout", "lease_duration", "api_key_rate_limit", "log_level"]
)
def test_an_empty_variable_is_not_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts as given, and is wrong for a number, a choice or a duration."""
    monkeypatch.setenv(f"PACKHOOK_{name.upper()}", "")
    assert set(errors_of()) == {name}


@pytest.mark.parametrize("name", ["host", "ca_bundle", "egress_proxy"])
def test_empty_text_is_refused_where_it_has_no_meaning(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PACKHOOK_HOST=`` must not open the API to every network."""
    monkeypatch.setenv(f"PACKHOOK_{name.upper()}", "")
    assert set(errors_of()) == {name}


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the repr of the settings, nor in the error of a wrong one."""
    monkeypatch.setenv("PACKHOOK_OPERATOR_KEY", "pk_operator_secret")
    monkeypatch.setenv("PACKHOOK_MASTER_KEYS", MASTER_KEY)
    monkeypatch.setenv("PACKHOOK_EGRESS_PROXY", "http://user:pk_proxy_secret@proxy:3128")
    settings = load_settings()
    assert settings.egress_proxy == Proxy("http://proxy:3128", 3128, "user", "pk_proxy_secret")
    assert settings.master_keys == (("k1", b"01234567890123456789012345678901"),)
    assert settings.operator_key == "pk_operator_secret"
    for shown in (repr(settings), str(settings)):
        assert "pk_operator_secret" not in shown
        assert "0123456789" not in shown
        assert "pk_proxy_secret" not in shown
    assert "pk_operator_secret" not in str(errors_of(port="x"))


def test_settings_do_not_change() -> None:
    """They are read once, at the start."""
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc] # that is the point
    assert settings.port == 8080


@pytest.mark.parametrize(
    ("name", "in_file", "value"),
    [
        ("database", '"sqlite:////var/lib/packhook.db"', "sqlite:////var/lib/packhook.db"), ("port", "0", 0),
        ("port", "65535", 65_535), ("processes", "64", 64), ("allow_http", "true", True),
        ("ca_bundle", '"authorities.pem"', Path("authorities.pem")), ("api_key_rate_limit", "0.5", 0.5),
        ("organization_rate_limit", "1000000", 1_000_000.0), ("attempt_timeout", '"20s"', 20 * SECOND),
        ("shutdown_grace", '"0s"', 0), ("log_level", '"error"', "error"), ("log_format", '"json"', "json"),
    ],
)  # fmt: skip
def test_file_and_environment_have_the_same_notation(
    name: str, in_file: str, value: object, file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable has as text what TOML writes with its types."""
    file(f"{name} = {in_file}")
    assert given_settings(load_settings()) == {name: value}
    file("")
    monkeypatch.setenv(f"PACKHOOK_{name.upper()}", in_file.strip('"'))
    assert given_settings(load_settings()) == {name: value}


def test_unknown_variables_are_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name each variable that looks like a setting and is none, beside the settings that are wrong."""
    monkeypatch.setenv("PACKHOOK_RETENTON", "5d")
    monkeypatch.setenv("PACKHOOK_WHATEVER", "1")
    monkeypatch.setenv("PACKHOOK_PORT", "x")
    monkeypatch.setenv("PACKHOOK_KEY", "phk_of-the-command-line")
    found = errors_of()
    assert found.pop("port").startswith("Input should be a valid integer")
    assert found == {
        "PACKHOOK_RETENTON": "there is no such setting; did you mean PACKHOOK_RETENTION?",
        "PACKHOOK_WHATEVER": "there is no such setting: unset it, or see the list of settings",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_in_flight = " + "9" * 5_000, "a number in it is too long"),
        ("port = 0x" + "f" * 5_000, "port: "),
        ("metrics_port = true", "metrics_port: expected a number, got true"),
        ("api_key_rate_limit = 5e-324", "api_key_rate_limit: expected 0 for no limit, or at least 0.001"),
        ('ca_bundle = "a\\u0000b"', "ca_bundle: expected a file, got a text with a NUL character"),
        ('retry_schedule = "' + "5s," * 21 + '"', "retry_schedule: Tuple should have at most 20 items"),
        ('host = "http://h"', "host: expected an address such as 127.0.0.1, or the name of a host"),
        ('metrics_host = "*"', "metrics_host: expected an address such as 127.0.0.1, or the name of a host"),
        ('verification_origin = "..."', "verification_origin: expected a DNS name"),
        ('portal_name = " "', "portal_name: expected a name without white space around it"),
        ('portal_name = "a\\u202eb"', "portal_name: expected a name without white space around it"),
        ('portal_logo_url = "https://.../x"', "portal_logo_url: expected an https URL"),
        ('portal_frame_ancestors = "https://a:99999"', "portal_frame_ancestors: expected origins"),
    ],
)
def test_nonsense_in_the_file_is_refused_in_a_line(file: WriteFile, text: str, expected: str) -> None:
    """Name the setting and what was expected; a long value does not fill the screen."""
    file(text)
    with pytest.raises(InvalidSettings) as refused:
        load_settings()
    assert expected in refused.value.detail
    assert len(refused.value.detail) < 1_000


def test_a_proxy_that_is_null_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not connect without the proxy that somebody meant to name."""
    monkeypatch.setenv("PACKHOOK_EGRESS_PROXY", "null")
    with pytest.raises(InvalidSettings, match="egress_proxy: expected a proxy"):
        load_settings()
