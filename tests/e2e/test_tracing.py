"""Spans of an event at a collector that receives OTLP; what a receiver gets; and what no collector can stop."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from packhook.core.clock import SystemClock
from packhook.core.errors import StartError
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress_proxy import open_egress
from packhook.node import Node, _open_tracing
from packhook.settings import Settings
from packhook.store.open import open_store
from packhook.telemetry import tracing
from packhook.telemetry.tracing import Tracing
from packhook.testing import ManualClock, Receiver, Status
from support.api_node import OPERATOR_KEY, application, bearer, listening
from support.http_client import LOOPBACK

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = f"00-{TRACE}-00f067aa0ba902b7-01"
EVENT: Final = {"event_code": "order.created", "data": {"id": "ord_1"}}
SUBSCRIPTION: Final = {"event_code": "order.created", "secret": "q9NhjkjV9o", "retry_schedule": ["200ms"]}
ACME: Final = "organizations/acme"


class Collector:
    """Receive spans over OTLP, as protobuf over HTTP."""

    def __init__(self) -> None:
        self._receiver = Receiver()

    async def __aenter__(self) -> "Collector":
        await self._receiver.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._receiver.__aexit__()

    @property
    def url(self) -> str:
        """Return the URL of ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
        return self._receiver.url

    def spans(self) -> list[Span]:
        """Return every span that came, of all batches."""
        found: list[Span] = []
        for request in self._receiver.received:
            assert request.path == "/v1/traces"
            for of_resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
                names = {item.key: item.value.string_value for item in of_resource.resource.attributes}
                assert names["service.name"] == "packhook"
                found += [span for scope in of_resource.scope_spans for span in scope.spans]
        return found


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Yield a collector that this process's exporter sends to at once."""
    async with Collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        yield found


@asynccontextmanager
async def node(folder: Path, traced: Tracing | None) -> AsyncIterator[httpx.AsyncClient]:
    """Run a node in this process, with an organization; yield the operator's client. Its spans are sent at the end."""
    settings = Settings(
        database=f"sqlite:///{folder / 'packhook.db'}",
        operator_key=OPERATOR_KEY,
        egress_allow=LOOPBACK,
        allow_http=True,
    )
    store, client = open_store(settings, SystemClock()), HttpClient(open_egress(settings))
    await store.open()
    await client.open()
    running = Node(store, client, settings, SystemClock(), tracing=traced)
    async with asyncio.TaskGroup() as group:
        group.create_task(running.run())
        async with (
            listening(running.service, settings) as (url, _),
            httpx.AsyncClient(base_url=f"{url}/v1/", headers=bearer(OPERATOR_KEY)) as api,
        ):
            await api.post("organizations", json={"id": "acme"})
            yield api
        running.stop()
    await client.close()
    await store.close()
    if traced is not None:
        await traced.close()


async def subscribe(api: httpx.AsyncClient, receiver: Receiver, **fields: Any) -> None:  # noqa: ANN401 any JSON
    """Subscribe a receiver to created orders."""
    created = await api.post(f"{ACME}/webhooks", json={**SUBSCRIPTION, **fields, "endpoint": receiver.url})
    assert created.status_code == 201, created.text


def names(spans: Sequence[Span]) -> list[str]:
    """Return the names of spans, in the order in which they began."""
    return [span.name for span in sorted(spans, key=lambda span: (span.start_time_unix_nano, span.name))]


def of(spans: Sequence[Span], name: str) -> list[Span]:
    """Return the spans of this name, in the order in which they began."""
    return sorted((span for span in spans if span.name == name), key=lambda span: span.start_time_unix_nano)


def attributes(span: Span) -> dict[str, str | int]:
    """Return a span's attributes."""
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


async def test_an_event_is_one_trace_from_its_publisher_to_its_receivers(tmp_path: Path, collector: Collector) -> None:
    """Publish, deliver, attempt, each the child of the one before; a retry is linked to the attempt before it."""
    async with Receiver() as receiver, Receiver() as flaky:
        flaky.answers(Status(500))
        async with node(tmp_path, Tracing()) as api:
            await subscribe(api, receiver)
            await subscribe(api, flaky)
            published = await api.post(
                f"{ACME}/events", json=EVENT, headers={"traceparent": PARENT, "tracestate": "a=b"}
            )
            await receiver.wait_for(1)
            await flaky.wait_for(2)
    spans = collector.spans()
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert sorted(names(spans)) == ["POST"] * 3 + ["deliver order.created"] * 3 + ["publish_event"]
    (publish,) = of(spans, "publish_event")
    assert publish.parent_span_id.hex() == PARENT[36:52]
    assert attributes(publish)["packhook.event.id"] == published.json()["id"]
    deliveries, attempts = of(spans, "deliver order.created"), of(spans, "POST")
    assert {span.parent_span_id for span in deliveries} == {publish.span_id}
    assert {span.parent_span_id for span in attempts} == {span.span_id for span in deliveries}
    sent = {request.headers["traceparent"] for request in (*receiver.received, *flaky.received)}
    assert sent == {f"00-{TRACE}-{span.span_id.hex()}-01" for span in attempts}
    assert {request.headers["tracestate"] for request in receiver.received} == {"a=b"}
    (retried,) = [span for span in deliveries if attributes(span)["packhook.attempt"] == 2]
    assert [link.span_id.hex() for link in retried.links] == [flaky.received[0].headers["traceparent"][36:52]]
    assert {attributes(span)["http.response.status_code"] for span in attempts} == {200, 500}
    assert [attributes(span)["error.type"] for span in attempts if span.status.code] == ["unsuccessful_status"]
    assert receiver.url not in str(spans), "a path or a query may be a secret"


async def test_without_a_publisher_s_trace_each_event_has_its_own(tmp_path: Path, collector: Collector) -> None:
    """Also a batch's; an event whose publisher does not want to be sampled is not."""
    async with Receiver() as receiver, node(tmp_path, Tracing()) as api:
        await subscribe(api, receiver)
        await api.post(f"{ACME}/events", json=EVENT)
        await receiver.wait_for(1)
        await api.post(f"{ACME}/events/batch", json={"events": [EVENT, EVENT]})
        await receiver.wait_for(3)
        unsampled = f"{PARENT[:-2]}00"
        await api.post(f"{ACME}/events", json=EVENT, headers={"traceparent": unsampled})
        await receiver.wait_for(4)
        refused = await api.post(f"{ACME}/events", json={})
        assert refused.status_code == 422
    spans = collector.spans()
    own = {request.headers["traceparent"][3:35] for request in receiver.received[:3]}
    assert len(own) == 2
    assert own < {span.trace_id.hex() for span in spans}
    assert receiver.received[3].headers["traceparent"].startswith(f"00-{TRACE}-")
    assert receiver.received[3].headers["traceparent"].endswith("-00")
    assert TRACE not in {span.trace_id.hex() for span in spans}
    assert [attributes(span)["error.type"] for span in spans if "error.type" in attributes(span)] == ["invalid_input"]


async def test_where_tracing_is_off_the_publisher_s_context_is_passed_on_unchanged(tmp_path: Path) -> None:
    """With each attempt, of a batch too; a malformed one is ignored, and a webhook's own header is sent instead."""
    async with Receiver() as receiver, Receiver() as own, node(tmp_path, None) as api:
        receiver.answers(Status(500))
        await subscribe(api, receiver)
        mine = {"traceparent": PARENT, "tracestate": "a=b"}
        await api.post(f"{ACME}/events", json=EVENT, headers=mine)
        await receiver.wait_for(2)
        await subscribe(api, own, headers={"traceparent": "mine"})
        await api.post(f"{ACME}/events/batch", json={"events": [EVENT, EVENT]}, headers=mine)
        for parent in ("", "00-x", PARENT.upper()):
            assert (await api.post(f"{ACME}/events", json=EVENT, headers={"traceparent": parent})).status_code == 202
        await receiver.wait_for(7)
        await own.wait_for(5)
    sent = [(item.headers.get("traceparent"), item.headers.get("tracestate")) for item in receiver.received]
    assert sorted(sent, key=str) == [(PARENT, "a=b")] * 4 + [(None, None)] * 3
    assert {item.headers["traceparent"] for item in own.received} == {"mine"}


async def test_a_collector_that_never_responds_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither deliveries, nor the end of the node; what does not fit into the queue is dropped."""
    hanging = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hanging.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    monkeypatch.setattr(tracing, "FLUSH_SECONDS", 0.1)
    async with Receiver() as receiver, asyncio.timeout(60), node(tmp_path, Tracing()) as api:
        await subscribe(api, receiver)
        await api.post(f"{ACME}/events/batch", json={"events": [EVENT] * 10})
        await receiver.wait_for(10)
    hanging.set()
    server.close()


def test_without_the_setting_nothing_of_it_is_imported() -> None:
    """A node has everything loaded that it serves and sends with, and neither the SDK nor what makes spans.

    FastAPI needs the API package, and imports it; it makes no spans of its own.
    """
    script = (
        "import sys, json\n"
        "import packhook.cli.main, packhook.cli.serve, packhook.node, packhook.api.server, packhook.web.app\n"
        "from packhook.settings import Settings\n"
        "assert packhook.node._open_tracing(Settings()) is None\n"
        "names = ('opentelemetry.sdk', 'opentelemetry.exporter', 'packhook.telemetry.tracing')\n"
        "print(json.dumps([name for name in sys.modules if name.startswith(names)]))"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert json.loads(found.stdout) == []


async def test_fastapi_traces_nothing_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a provider is set, by an agent of the operator or an environment variable."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr("fastapi.telemetry._asgi.trace.get_tracer_provider", lambda: provider)
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    async with application(tmp_path, ManualClock()) as (api, _, _):
        assert (await api.get("/v1/organizations")).status_code == 200
    assert spans.get_finished_spans() == ()


def test_without_the_extra_a_node_that_shall_trace_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.delitem(sys.modules, "packhook.telemetry.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(StartError, match=r"packhook\[otel\]"):
        _open_tracing(Settings(tracing=True))
