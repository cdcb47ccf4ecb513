"""Read a database URL as libpq does: which parameters packhook takes, and how its target is named in messages."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from msgspec import Struct

from packhook.core.errors import InvalidSettings
from packhook.files import require_regular

EXPECTED: Final = "database: expected postgresql://USER@HOST:PORT/NAME"
CONNECT_SECONDS: Final = 5.0
MIN_CONNECT_SECONDS: Final = 2.0
"""libpq's own minimum."""

DRIVER: Final = frozenset(
    {
        *("host", "port", "dbname", "database", "user", "password", "passfile", "service", "target_session_attrs"),
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname", "gsslib"),
    }
)
"""The parameters that asyncpg understands."""

DEFAULTS: Final = {
    "client_encoding": ("utf8", "utf-8", "auto"),
    "channel_binding": ("prefer", "disable"),
    "gssencmode": ("prefer", "disable"),
    "keepalives": ("1",),
    "sslcompression": ("0",),
    "sslsni": ("1",),
    "load_balance_hosts": ("disable",),
}
"""The parameters of libpq that can only say what packhook does anyway."""


VALUES: Final = {
    "target_session_attrs": ("any", "primary", "read-write"),
    "sslmode": ("prefer", "disable", "allow", "require", "verify-ca", "verify-full"),
}
"""The values of the driver's parameters with which packhook, which writes, can work."""

FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
VARIABLES: Final = ("PGPASSFILE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL")
"""Variables that name such files; the driver does without one that is not there."""
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
LARGEST_PORT: Final = 65_535
_UNREADABLE: Final = f"{EXPECTED}: the URL cannot be read, encode special characters as %XX"
_PORT: Final = re.compile(r"[0-9]{1,5}")
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class ServerAddress(Struct, frozen=True, kw_only=True):
    """Hold what a database URL says. ``url`` is without what asyncpg would take for a setting of the server."""

    url: str
    name: str
    connect_seconds: float = CONNECT_SECONDS
    application_name: str | None = None


def parse(url: str) -> ServerAddress:
    """Return what the URL says. Raises InvalidSettings, which names the parameter and never the password."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise InvalidSettings(_UNREADABLE) from None
    if not _is_well_formed(parts.netloc, parts.path, parts.fragment) or "%00" in url or _BAD_PERCENT.search(url):
        raise InvalidSettings(_UNREADABLE)
    query = dict(pairs)
    _require_once(parts, [name for name, _ in pairs])
    kept = {name: value for name, value in query.items() if name in DRIVER}
    seconds, application_name = CONNECT_SECONDS, query.get("application_name") or query.get("fallback_application_name")
    for name, value in query.items():
        if name == "connect_timeout":
            seconds = _seconds(value)
        elif name not in {*DRIVER, "application_name", "fallback_application_name"}:
            _require_default(name, value)
    _require_values(query)
    rest = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), ""))
    return ServerAddress(
        url=rest,
        name=_name(parts.netloc, parts.path, kept),
        connect_seconds=seconds,
        application_name=application_name,
    )


def _is_well_formed(netloc: str, path: str, fragment: str) -> bool:
    """Return whether no part of a password may stand where another part of the URL is expected."""
    auth, _, hosts = netloc.rpartition("@")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts.split(",")]
    return "@" not in auth + path and not fragment and all(not port or _is_port(port) for port in ports)


def _require_once(parts: SplitResult, names: list[str]) -> None:
    """Raise InvalidSettings for what the URL says twice: libpq and the driver take different ones."""
    auth, _, hosts = parts.netloc.rpartition("@")
    user, _, password = auth.partition(":")
    in_front = {
        "host": hosts,
        "port": hosts if re.search(r":\d+(?:,|$)", hosts) else "",
        "dbname": parts.path.strip("/"),
        "user": user,
        "password": password,
    }
    said = [*(name for name, value in in_front.items() if value), *("dbname" if n == "database" else n for n in names)]
    for name, count in Counter(said).items():
        if count > 1:
            raise InvalidSettings(f"database: {name}: expected it once in the URL, got it {count} times")


def _require_values(query: dict[str, str]) -> None:
    """Raise InvalidSettings for a value that packhook cannot use, before anything is connected to."""
    for name, accepted in VALUES.items():
        if query.get(name, accepted[0]) not in accepted:
            raise InvalidSettings(f"database: {name}: packhook supports {', '.join(accepted)}, got {query[name]!r}")
    for name in FILES:
        if query.get(name):
            _require_file(name, query[name])
    for name in VARIABLES:
        if os.path.exists(file := os.environ.get(name, "")):  # noqa: PTH110 False for any name
            _require_file(name, file)
    for port in filter(None, query.get("port", "").split(",")):
        if not _is_port(port):
            raise InvalidSettings(f"database: port: expected a number from 1 to {LARGEST_PORT}, got {port!r}")


def _require_file(name: str, file: str) -> None:
    """Raise InvalidSettings for a file that cannot be read; the driver would wait for a pipe, and has no limit."""
    try:
        require_regular(Path(file).expanduser(), MAX_FILE_BYTES, is_private=name in ("passfile", "PGPASSFILE"))
    except FileNotFoundError:
        raise InvalidSettings(f"database: {name}: there is no file {file}") from None
    except OSError as error:
        raise InvalidSettings(f"database: {name}: cannot read {file}: {error.strerror}") from None


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and 1 <= int(text) <= LARGEST_PORT


def _seconds(value: str) -> float:
    try:
        seconds = int(value)
    except ValueError:
        raise InvalidSettings(f"database: connect_timeout: expected whole seconds, got {value!r}") from None
    return max(float(seconds), MIN_CONNECT_SECONDS) if seconds > 0 else CONNECT_SECONDS


def _require_default(name: str, value: str) -> None:
    accepted = DEFAULTS.get(name)
    if accepted is None:
        raise InvalidSettings(f"database: packhook does not support the parameter {name!r} of the URL: remove it")
    if value.lower() not in accepted:
        raise InvalidSettings(f"database: {name}: packhook supports {' or '.join(accepted)}, got {value!r}")


def _name(netloc: str, path: str, query: dict[str, str]) -> str:
    """Return host, port and database, as the URL has them; neither user nor password."""
    hosts = query.get("host") or unquote(netloc.rpartition("@")[2]) or "the default host"
    port = f", port {query['port']}" if "port" in query else "" if ":" in hosts or "/" in hosts else ", port 5432"
    database = unquote(path.removeprefix("/")) or query.get("dbname") or query.get("database")
    return f"{hosts}{port}, database {database or 'of the user'}"
