"""Store webhooks and order events durably, sign them, and deliver them at least once. This is the map.

The life of one event, with the module of each step::

    POST …/events
      │
      ├─ api/publish/protocol.py   bytes to requests, within limits
      ├─ api/publish/app.py        authenticate (service/authentication.py), decode, validate; data stays bytes
      ├─ service/publish.py an id, a time, a place in the queue
      ▼
    store/base.py           the promise: on disk when it returns
      ├─ store/sqlite/writer.py    group commit: concurrent publishes share a transaction
      └─ store/sqlite/publish.py   the event and its deliveries, some leased to this node
         (store/postgres/ has the same files for many nodes; store/encryption/store.py encrypts secrets)
      │
      ├──▶ 202
      ▼
    delivery/scheduler.py   deliveries enqueued after the commit, or claimed when due (delivery/claim_loop.py)
      ├─ delivery/fair_queue.py       the lanes, in turn: by organization, then by webhook
      ├─ delivery/capacity.py         how much the node and each lane may queue and send
      ├─ delivery/lane.py             one webhook's queue, how much at once, how fast   delivery/webhook_loader.py
      │  delivery/circuit_breaker.py  not while its endpoint is down
      ▼
    delivery/attempt.py     compose, sign (core/signatures/standard.py), send, judge (core/retry_policy.py)
      ├─ delivery/http/egress.py   may we connect there        core/ip_policy.py  core/endpoint.py
      └─ delivery/http/client.py   one request, one outcome    pool.py  connection.py  tls.py  response_parser.py
      ▼
    delivery/recorder.py    results into the store, many in a transaction
      └─ store/sqlite/record.py    a retry is the same row, due later

``node.py`` builds all this and runs it; ``cli/serve.py`` calls it. ``service/history.py`` reads an event back.
``delivery/maintenance.py`` removes what is too old. ``delivery/probe.py`` sends test events, and requests verification
for ``service/endpoint_verification.py``. ``core/audit.py`` describes who changed what, when and from where; the store
writes that with the change itself. ``telemetry/logs.py`` writes the log.
Imports point one way: cli, node, web, api, service, delivery, store, core. Settings and telemetry stand beside core.
"""

__version__ = "0.1.0"
