"""Trace events with OpenTelemetry: spans of publish calls, deliveries and attempts. Imported only where tracing is on.

::

    publisher's span ─▶ publish ─▶ deliver ─▶ attempt ─▶ the receiver's span
                        (stored      │ a retry, or a replay: another `deliver` in the same trace,
                         with the    │ linked to the attempt before
                         event)      ▼
                                 queue ─ thread ─▶ OTLP collector

The context of the publish span is stored with the event, so any node continues the trace, days later too. An event that
has none gets a trace of its own, whose id follows from the event's. Ending a span puts it into a bounded queue; a
collector that hangs costs spans, never a delivery.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from packhook import __version__
from packhook.core.errors import PackhookError, Unavailable
from packhook.core.model import AttemptResult, LeasedDelivery, Receipt, Urgency
from packhook.core.trace_context import TraceContext, parse
from packhook.telemetry.logs import node_name

FLUSH_SECONDS: Final = 5.0
"""So long a stop waits for the collector."""
NANOSECONDS: Final = 1_000_000
"""In a millisecond."""
_NOWHERE: Final = Context()

_log: Final = structlog.get_logger("packhook.tracing")


class _Ids(RandomIdGenerator):
    """Generate random ids, but those that are set: the next trace's, the next span's."""

    def __init__(self) -> None:
        self.next_trace_id: int | None = None
        self.next_span_id: int | None = None

    def generate_trace_id(self) -> int:
        """Return what was set, once, or a random id."""
        found, self.next_trace_id = self.next_trace_id, None
        return super().generate_trace_id() if found is None else found

    def generate_span_id(self) -> int:
        """Return what was set, once, or a random id."""
        found, self.next_span_id = self.next_span_id, None
        return super().generate_span_id() if found is None else found


class Tracing:
    """Make spans, and send them to the collector that the environment names (``OTEL_EXPORTER_OTLP_ENDPOINT``)."""

    def __init__(self) -> None:
        environment = OTELResourceDetector().detect().attributes
        ours = {"service.name": "packhook", "service.version": __version__, "service.instance.id": node_name()}
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=Resource.create({**ours, **environment}), id_generator=self._ids, shutdown_on_exit=False
        )
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("packhook", __version__)

    async def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True, name="packhook-tracing")
        sending.start()
        await asyncio.to_thread(sending.join, FLUSH_SECONDS)
        if sending.is_alive():
            _log.warning("spans_dropped", detail="the collector took too long")
            self._exporter.shutdown()  # type: ignore[no-untyped-call] # the library's

    @contextmanager
    def publish(self, organization_id: str, operation: str, trace_context: str) -> Iterator["PublishTrace"]:
        """Make a span of a publish call within the block, a child of the publisher's span if it named one."""
        span = self._tracer.start_span(
            operation,
            _context_of(parse(trace_context)),
            SpanKind.SERVER,
            {"packhook.organization.id": organization_id},
        )
        try:
            yield PublishTrace(span)
        except BaseException as error:
            span.set_attribute("error.type", error.code if isinstance(error, PackhookError) else type(error).__name__)
            if isinstance(error, Unavailable) or not isinstance(error, PackhookError):
                span.set_status(StatusCode.ERROR)  # the others are the publisher's own
            raise
        finally:
            span.end()

    def attempt(self, delivery: LeasedDelivery, endpoint: str, now: int) -> "AttemptTrace":
        """Begin to trace an attempt, and the delivery of which it is a part."""
        return AttemptTrace(self._tracer, self._ids, delivery, endpoint, now)


class PublishTrace:
    """Hold the span of one publish call; ``trace_context`` is stored with its events."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace_context: Final = _text_of(span)

    def published(self, receipts: Sequence[Receipt]) -> None:
        """Note what was published."""
        self._span.set_attribute("messaging.batch.message_count", len(receipts))
        self._span.set_attribute("packhook.deliveries", sum(receipt.deliveries for receipt in receipts))
        if len(receipts) == 1:
            self._span.set_attribute("packhook.event.id", receipts[0].id)
            self._span.set_attribute("packhook.event.code", receipts[0].event_code)


class AttemptTrace:
    """Hold the spans of one attempt and of the delivery around it; ``trace_context`` is what the receiver gets."""

    def __init__(self, tracer: Tracer, ids: _Ids, delivery: LeasedDelivery, endpoint: str, now: int) -> None:
        event = parse(delivery.trace_context)
        if event is None:
            ids.next_trace_id = _id_from(delivery.event_id, 16)
        is_first = delivery.attempt_count == 0 and delivery.urgency is Urgency.FIRST
        self._delivery = tracer.start_span(
            f"deliver {delivery.event_code}",
            _context_of(event),
            SpanKind.CONSUMER,
            _attributes(delivery),
            links=_previous(delivery, event),
            start_time=(delivery.event_created_at if is_first else now) * NANOSECONDS,
        )
        ids.next_trace_id = None  # a span that has a parent did not take it
        ids.next_span_id = _attempt_span_id(delivery.id, delivery.attempt_count + 1)
        address = urlsplit(endpoint)
        self._attempt = tracer.start_span(
            "POST",
            set_span_in_context(self._delivery, _NOWHERE),
            SpanKind.CLIENT,
            {
                "packhook.delivery.id": delivery.id,
                "packhook.attempt": delivery.attempt_count + 1,
                "http.request.method": "POST",
                "http.request.resend_count": delivery.attempt_count,
                "server.address": address.hostname or "",
                "server.port": address.port or (443 if address.scheme == "https" else 80),
            },
            start_time=now * NANOSECONDS,
        )
        ids.next_span_id = None
        self.trace_context: Final = _text_of(self._attempt)

    def end(self, result: AttemptResult) -> None:
        """Note what came of it."""
        made, verdict = result.attempt, result.verdict
        ended_at = (made.started_at + made.duration) * NANOSECONDS
        if made.status_code is not None:
            self._attempt.set_attribute("http.response.status_code", made.status_code)
        self._delivery.set_attribute("packhook.delivery.status", verdict.status.value)
        if verdict.error_code:
            for span in (self._attempt, self._delivery):
                span.set_attribute("error.type", verdict.error_code)
                span.set_status(StatusCode.ERROR, verdict.error_message)
        self._attempt.end(ended_at)
        self._delivery.end(ended_at)

    def abort(self) -> None:
        """Note that its outcome is unknown."""
        for span in (self._attempt, self._delivery):
            span.set_attribute("error.type", "aborted")
            span.set_status(StatusCode.ERROR, "the outcome is unknown")
            span.end()


def _attributes(delivery: LeasedDelivery) -> dict[str, AttributeValue]:
    return {
        "packhook.organization.id": delivery.organization_id,
        "packhook.webhook.id": delivery.webhook_id,
        "packhook.delivery.id": delivery.id,
        "packhook.event.id": delivery.event_id,
        "packhook.event.code": delivery.event_code,
        "packhook.attempt": delivery.attempt_count + 1,
    }


def _previous(delivery: LeasedDelivery, event: TraceContext | None) -> list[Link]:
    """Return a link to the span of the attempt before, if there was one: its id follows from the delivery's."""
    if not delivery.attempt_count:
        return []
    trace_id = _id_from(delivery.event_id, 16) if event is None else event.trace_id
    span_id = _attempt_span_id(delivery.id, delivery.attempt_count)
    return [Link(SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)))]


def _attempt_span_id(delivery_id: str, number: int) -> int:
    return _id_from(f"{delivery_id}/{number}", 8)


def _id_from(text: str, size: int) -> int:
    """Return an id of so many bytes that is the same for the same text, and never 0."""
    return int.from_bytes(sha256(text.encode()).digest()[:size]) or 1


def _context_of(parent: TraceContext | None) -> Context:
    """Return the context of a stored parent, or of none."""
    if parent is None:
        return _NOWHERE
    state = TraceState.from_header([parent.state]) if parent.state else None
    return set_span_in_context(
        NonRecordingSpan(SpanContext(parent.trace_id, parent.span_id, True, TraceFlags(parent.flags), state)),
        _NOWHERE,
    )


def _text_of(span: Span) -> str:
    """Return the context of a span as it is stored and sent."""
    found = span.get_span_context()
    return TraceContext(found.trace_id, found.span_id, found.trace_flags, found.trace_state.to_header()).text
