"""Check the variables of OpenTelemetry before a node starts: its library ignores most mistakes, or raises later."""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from packhook.files import require_regular

OTLP_PROTOCOL: Final = "http/protobuf"
COMPRESSIONS: Final = ("none", "gzip", "deflate")
SAMPLERS: Final = ("always_on", "always_off", "traceidratio")
MAX_FILE_BYTES: Final = 1024 * 1024
_EXPORTER: Final = "OTEL_EXPORTER_OTLP_"
_TRACES: Final = "OTEL_EXPORTER_OTLP_TRACES_"
_LIMITS: Final = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
)  # fmt: skip
_QUEUE: Final = {
    "OTEL_BSP_MAX_QUEUE_SIZE": 2048,
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 512,
    "OTEL_BSP_SCHEDULE_DELAY": 5000,
    "OTEL_BSP_EXPORT_TIMEOUT": 30000,
}
"""The variables of the queue of spans, with their defaults."""


def tracing_problems() -> Iterator[str]:
    """Yield what is wrong with tracing: a library that is missing, or a variable; no value that may be a secret."""
    try:
        has_extra = find_spec("opentelemetry.sdk") and find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        has_extra = None
    if not has_extra:
        yield "expected its libraries to be installed: pip install 'packhook[otel]'"
    for name, problem in _problems():
        yield f"{name}: {problem}"


def _problems() -> Iterator[tuple[str, str]]:
    for suffix, check in _CHECKS.items():
        for name in (_TRACES + suffix, _EXPORTER + suffix):
            value = os.environ.get(name, "").strip()
            if value and (problem := check(value)):
                yield name, problem
    sampler = os.environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if sampler and sampler.removeprefix("parentbased_") not in SAMPLERS:
        names = ", ".join((*SAMPLERS, *(f"parentbased_{name}" for name in SAMPLERS)))
        yield "OTEL_TRACES_SAMPLER", f"expected one of {names}, got {sampler!r}"
    ratio = os.environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    if ratio and sampler.endswith("traceidratio") and not 0 <= _number(ratio) <= 1:
        yield "OTEL_TRACES_SAMPLER_ARG", f"expected a number from 0 to 1, got {ratio!r}"
    yield from _queue_problems()
    for name in _LIMITS:
        value = os.environ.get(name, "").strip()
        if value and not _is_count(value):
            yield name, f"expected a whole number, got {value!r}"
    for pair in _pairs(os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")):
        if not pair.partition("=")[0].strip() or "=" not in pair:
            yield "OTEL_RESOURCE_ATTRIBUTES", f"expected NAME=VALUE, comma-separated, got {pair!r}"


def _queue_problems() -> Iterator[tuple[str, str]]:
    counts = {}
    for name, default in _QUEUE.items():
        value = os.environ.get(name, "").strip() or str(default)
        if _is_count(value) and int(value) > 0:
            counts[name] = int(value)
        else:
            yield name, f"expected a whole number above 0, got {value!r}"
    size, batch = (counts.get(name) for name in tuple(_QUEUE)[:2])
    if size and batch and batch > size:
        yield "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", f"expected at most OTEL_BSP_MAX_QUEUE_SIZE, {size}, got {batch}"


def _endpoint_problem(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if is_url and value.isprintable() and " " not in value and "\\" not in value:
        return ""
    return f"expected a URL such as http://collector:4318, got {value.rpartition('@')[2]!r}"


def _protocol_problem(value: str) -> str:
    return "" if value == OTLP_PROTOCOL else f"expected {OTLP_PROTOCOL}, got {value!r}: packhook[otel] speaks no other"


def _compression_problem(value: str) -> str:
    return "" if value.lower() in COMPRESSIONS else f"expected one of {', '.join(COMPRESSIONS)}, got {value!r}"


def _timeout_problem(value: str) -> str:
    return "" if _number(value) > 0 else f"expected a number of seconds above 0, got {value!r}"


def _headers_problem(value: str) -> str:
    wrong = [pair for pair in _pairs(value) if "=" not in pair or not pair.partition("=")[0].strip()]
    return "expected NAME=VALUE, comma-separated; one of them has no name or no value" if wrong else ""


def _file_problem(value: str) -> str:
    try:
        require_regular(Path(value), MAX_FILE_BYTES)
    except OSError as error:
        return f"cannot read {value}: {error.strerror}"
    return ""


def _pairs(value: str) -> list[str]:
    return [pair.strip() for pair in value.split(",") if pair.strip()]


def _number(value: str) -> float:
    """Return a finite number, or -1."""
    try:
        found = float(value) if value.isascii() else -1.0
    except ValueError:
        return -1.0
    return found if isfinite(found) else -1.0


def _is_count(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= len(str(2**31))


_CHECKS: Final[dict[str, Callable[[str], str]]] = {
    "ENDPOINT": _endpoint_problem,
    "PROTOCOL": _protocol_problem,
    "HEADERS": _headers_problem,
    "COMPRESSION": _compression_problem,
    "TIMEOUT": _timeout_problem,
    "CERTIFICATE": _file_problem,
    "CLIENT_CERTIFICATE": _file_problem,
    "CLIENT_KEY": _file_problem,
}
