"""Hold the settings of a node in one frozen value. ``settings_sources.py`` reads them."""

import base64
import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND
from packhook.core.durations import parse_duration
from packhook.core.egress_proxy import Proxy, parse_proxy

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MasterKey = tuple[str, bytes]  # its id, and its 32 bytes

_MAPPED_BITS: Final = 96
_ORIGIN: Final = re.compile(r"https?://(?:\*\.)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::(?:[0-9]{1,5}|\*))?", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9.-]+")
_HOST_NAME: Final = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)
_LOGO: Final = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~/%?=&+-]*")
MAX_NAME: Final = 253
MIN_RATE: Final = 0.001
MAX_WAITS: Final = 20
_MASTER_KEY: Final = re.compile(r"([A-Za-z0-9_-]{1,64}):([A-Za-z0-9+/]{43}=)")


def _parse_schedule(value: object) -> object:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError(f"expected waits such as 5s,5m,2h, got {value!r}")  # noqa: TRY004 pydantic reports ValueError
    return tuple(parse_duration(part) for part in parts if not (isinstance(part, str) and not part.strip()))


def _parse_names(value: object) -> object:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError(f"expected names such as public_url,master_keys, got {value!r}")  # noqa: TRY004 as above
    stripped = (part.strip() if isinstance(part, str) else part for part in parts)
    return tuple(part for part in stripped if part != "")


def _parse_origins(value: object) -> object:
    parts = _parse_names(value)
    wrong = [part for part in parts if not (isinstance(part, str) and _ORIGIN.fullmatch(part) and _is_port(part))]  # type: ignore[attr-defined] # a tuple
    if wrong:
        raise ValueError(f"expected origins such as https://shop.example or https://*.shop.example, got {wrong[0]!r}")
    return parts


def _parse_networks(value: object) -> object:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError(f"expected networks such as 127.0.0.0/8,::1/128, got {value!r}")  # noqa: TRY004 as above
    return tuple(_parse_network(part) for part in parts if not (isinstance(part, str) and not part.strip()))


def _parse_network(value: object) -> Network:
    if isinstance(value, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a network such as 127.0.0.0/8, got {value!r}")  # noqa: TRY004 as above
    network = ipaddress.ip_network(value.strip())
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))  # as addresses are compared


def parse_master_keys(value: object) -> tuple[MasterKey, ...]:
    """Parse master keys, ``ID:BASE64`` of 32 bytes each, newest first. ValueError never contains a part of a key."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError("expected master keys such as ID:BASE64,ID:BASE64")  # noqa: TRY004 as above
    given = [part for part in parts if not (isinstance(part, str) and not part.strip())]
    keys = tuple(_parse_master_key(number, part) for number, part in enumerate(given, 1))
    if len({key_id for key_id, _ in keys}) < len(keys):
        raise ValueError("expected master keys with different ids")
    return keys


def _parse_master_key(number: int, part: object) -> MasterKey:
    match = _MASTER_KEY.fullmatch(part.strip()) if isinstance(part, str) else None
    if match is None:
        raise ValueError(
            f"master key {number}: expected ID:BASE64 of 32 bytes, an id of the characters A-Z a-z 0-9 _ -"
        )
    return match[1], base64.b64decode(match[2])


def _not_empty(value: object) -> object:
    if value == "":
        raise ValueError("expected a file, got ''; leave it out for none")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("expected a file, got a text with a NUL character")
    return value


def _host(text: str) -> str:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        if len(text) > MAX_NAME or not _HOST_NAME.fullmatch(text):
            raise ValueError("expected an address such as 127.0.0.1, or the name of a host") from None
    return text


def _dns_name(text: str) -> str:
    if text and (len(text) > MAX_NAME or not _HOST_NAME.fullmatch(text)):
        raise ValueError("expected a DNS name such as hooks.example.com")
    return text


def _shown_name(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("expected a name without white space around it, control and bidirectional characters")
    return text


def _logo(text: str) -> str:
    if text and not (_LOGO.fullmatch(text) and _HOST_NAME.fullmatch(_host_of(text)) and _is_port(text)):
        raise ValueError("expected an https URL such as https://shop.example/logo.svg, without a user")
    return text


def _is_port(url: str) -> bool:
    try:
        return urlsplit(url.removesuffix(":*")).port != 0
    except ValueError:
        return False


def _rate(value: float) -> float:
    if 0 < value < MIN_RATE:
        raise ValueError(f"expected 0 for no limit, or at least {MIN_RATE}")
    return value


LONGEST: Final = 36_500 * DAY
LARGEST: Final = 1024**4
Duration = Annotated[int, BeforeValidator(parse_duration), Field(le=LONGEST)]
Schedule = Annotated[tuple[Annotated[int, Field(ge=0, le=7 * DAY)], ...], NoDecode, BeforeValidator(_parse_schedule)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_parse_networks)]
Host = Annotated[str, AfterValidator(_host)]
Rate = Annotated[float, AfterValidator(_rate)]
Risk = Literal["allow_http", "egress_allow", "master_keys", "operator_key", "public_url"]
Risks = Annotated[tuple[Risk, ...], NoDecode, BeforeValidator(_parse_names)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_origins)]
MasterKeys = Annotated[tuple[MasterKey, ...], NoDecode, BeforeValidator(parse_master_keys)]

DEFAULT_SCHEDULE: Final = (
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)


class Settings(BaseSettings):
    """Hold what the operator decided. ``docs/reference/settings.md`` has the same descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="PACKHOOK_", frozen=True, extra="forbid", validate_default=False, hide_input_in_errors=True
    )

    database: str = Field(
        "sqlite:///packhook.db",
        description="The database: `sqlite:///PATH` or `postgresql://USER@HOST/NAME`.",
    )
    host: Host = Field("127.0.0.1", description="The address to listen on.")
    allow_insecure: Risks = Field(
        (),
        description="Names of settings, comma-separated, whose unsafe values you accept although `host` "
        "is not loopback.",
    )
    port: int = Field(8080, ge=0, le=65535, description="The port to listen on; 0 chooses a free one and prints it.")
    metrics_host: Host = Field("127.0.0.1", description="The address on which `metrics_port` serves metrics.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="A port that serves `/metrics` without a key; of several `processes`, the next ones take the ports "
        "after it. 0 chooses a free one and prints it.",
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of nodes on this machine that share the port; more than one needs PostgreSQL.",
    )
    public_url: str = Field(
        "",
        description="The URL by which clients reach this server, for links in list pages; empty: taken "
        "from the request.",
    )
    trusted_proxies: Networks = Field(
        (),
        description="Networks (CIDR, comma-separated) of proxies whose `X-Forwarded-For` the audit trail trusts.",
    )
    operator_key: str = Field(
        "",
        repr=False,
        description="The operator key. Empty: the first start generates one, prints it once and stores only its hash.",
    )
    master_keys: MasterKeys = Field(
        (),
        repr=False,
        description="Keys that encrypt webhook secrets, header values and client keys in the database: "
        "`ID:BASE64` of 32 bytes, comma-separated, newest first. Empty: the first start creates a key file.",
    )
    allow_http: bool = Field(default=False, description="Allow `http` endpoints; otherwise only `https`.")
    egress_allow: Networks = Field(
        (), description="Denied networks (CIDR, comma-separated) that packhook may connect to."
    )
    egress_proxy: Annotated[Proxy | None, NoDecode, BeforeValidator(_not_empty), BeforeValidator(parse_proxy)] = Field(
        None,
        repr=False,
        description="An HTTP proxy (CONNECT) for every attempt: `http://USER:PASSWORD@HOST:PORT`.",
    )
    ca_bundle: Annotated[Path | None, BeforeValidator(_not_empty)] = Field(
        None, description="A PEM file of certificate authorities to trust in addition to the system's."
    )
    require_endpoint_verification: bool = Field(
        default=False,
        description="Send only test events to a new endpoint until it is verified.",
    )
    verification_origin: Annotated[str, AfterValidator(_dns_name)] = Field(
        "",
        description="The DNS name sent in `webhook-request-origin`; empty: the host of `public_url`, or `packhook`.",
    )
    retry_schedule: Schedule = Field(
        DEFAULT_SCHEDULE,
        max_length=MAX_WAITS,
        description="Waits between attempts, comma-separated; each varies by ±20 % at random.",
    )
    attempt_timeout: Duration = Field(
        15 * SECOND, ge=SECOND, le=30 * SECOND, description="Total time for one attempt, from DNS to the last byte."
    )
    max_in_flight: int = Field(
        1024, ge=1, le=100_000, description="Concurrent attempts of all webhooks together, at most."
    )
    max_in_flight_per_webhook: int = Field(
        64, ge=1, le=10_000, description="Concurrent attempts to one webhook, at most."
    )
    max_queued_deliveries: int = Field(
        10_000,
        ge=1,
        le=10_000_000,
        description="Deliveries queued in memory, at most; the others wait in the database.",
    )
    max_pending_publishes: int = Field(
        5_000,
        ge=1,
        le=10_000_000,
        description="Events that may wait for their commit; more are answered 503 with `Retry-After`.",
    )
    max_request_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, le=LARGEST, description="The largest request body, such as a batch of events."
    )
    max_buffered_body_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1024 * 1024,
        le=LARGEST,
        description="Bytes of request bodies that a node buffers at once; more are answered 503 with `Retry-After`.",
    )
    max_buffered_read_bytes: int = Field(
        128 * 1024 * 1024,
        ge=1024 * 1024,
        le=LARGEST,
        description="Bytes of answers to reads that a node buffers at once; more are answered 503 with `Retry-After`.",
    )
    max_connections: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Concurrent client connections to a node; one more is answered 503 and closed. An address that is "
        "no trusted proxy gets as many as are free: half if it is alone.",
    )
    max_webhooks_per_organization: int = Field(
        1_000, ge=1, le=100_000, description="Webhooks that one organization may have; one more is answered 409."
    )
    api_key_rate_limit: Rate = Field(
        0.0, ge=0, le=1_000_000, description="Requests per second of one API key on a node; 0 is no limit."
    )
    organization_rate_limit: Rate = Field(
        0.0,
        ge=0,
        le=1_000_000,
        description="Requests per second of one organization, all its keys together, on a node; 0 is no limit.",
    )
    lease_duration: Duration = Field(
        60 * SECOND, ge=35 * SECOND, description="How long a node may keep a delivery before another node may claim it."
    )
    replay_rate: float = Field(
        500.0, ge=1, le=2_000, description="Deliveries per second that all replays of a node together queue, at most."
    )
    retention: Duration = Field(
        30 * DAY, ge=MINUTE, description="How long events, deliveries and attempts are kept and can be retried."
    )
    audit_retention: Duration = Field(365 * DAY, ge=MINUTE, description="How long audit entries are kept.")
    disable_after: Duration = Field(
        5 * DAY, ge=MINUTE, description="Disable a webhook after this time without a success and at least ten failures."
    )
    secret_proof_interval: Duration = Field(
        5 * MINUTE,
        ge=SECOND,
        le=HOUR,
        description="The wait between test events that prove a rotated secret (`when_proven`).",
    )
    operator_organization: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        description="The id of an organization that gets a copy of each operational event of all organizations; "
        "empty: none does.",
    )
    drain_delay: Duration = Field(
        0,
        ge=0,
        le=10 * MINUTE,
        description="How long a stop leaves the port open, with `/ready` at 503, before it ends: time for a load "
        "balancer to notice. `0s`: none.",
    )
    portal_name: Annotated[str, AfterValidator(_shown_name)] = Field(
        "",
        max_length=60,
        description="The name that the portal shows; empty: `packhook`.",
    )
    portal_logo_url: Annotated[str, AfterValidator(_logo)] = Field(
        "",
        max_length=500,
        description="The `https` URL of the logo that the portal shows; empty: packhook's.",
    )
    portal_color: str = Field(
        "", pattern=r"^(#[0-9A-Fa-f]{6})?$", description="The portal's colour, such as `#0a6640`; empty: packhook's."
    )
    portal_frame_ancestors: Origins = Field(
        (),
        description="Origins (comma-separated), such as `https://shop.example`, whose pages may show the portal in a "
        "frame; empty: none may.",
    )
    shutdown_grace: Duration = Field(
        20 * SECOND, ge=0, description="How long a stop waits for running attempts before it aborts them."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The lowest level to log.")
    access_log: bool = Field(
        default=False,
        description="Log a line for each response to a client: method, path, status, duration, request id.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`, `console`, or `auto`: `console` in a terminal, `json` otherwise."
    )
    tracing: bool = Field(
        default=False,
        description="Send a span for each publish call, delivery and attempt to an OpenTelemetry collector, which the "
        "environment names: `OTEL_EXPORTER_OTLP_ENDPOINT`. Needs `packhook[otel]`.",
    )

    @property
    def origin(self) -> str:
        """Return the DNS name for requests for verification: that of the whole instance, not of one machine."""
        return self.verification_origin or _host_of(self.public_url) or "packhook"


def _host_of(url: str) -> str:
    """Return the host name of a URL; "" if it has none that fits into a header."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return host if _NAME.fullmatch(host) else ""
