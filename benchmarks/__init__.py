"""Measure what an event costs on this machine, against a bare HTTP client, and prove that nothing was lost.

Run it from a checkout: ``make bench``, or ``python -m benchmarks [events | claims | isolation] [OPTIONS]``. Linux only.

::

    __main__.py        the commands
    command.py         events: the options, and which parts run
    claims/            claims: the cost of a claim while deliveries come and go; no HTTP
    isolation/         what one organization's work costs another: attacks, one after another
    suite.py           wrk, baseline, load, rounds, half load, idle, profile: the parts of one report
    growth.py          the same load with more webhooks, a larger backlog, a longer history
    rounds.py          load and baseline in alternation
    scenario.py        one scenario, from an empty database to its result
    plan.py            the load of a scenario: the value that every process gets
    processes.py       start and stop the nodes, the receiver and the publishers
    database.py        a fresh database for each scenario, and the process ids of PostgreSQL
    postgres_server.py a PostgreSQL that is started for the run
    preload.py         write history and backlog straight into the tables (sql/)
    publishers.py      publish open-loop at a rate, or as fast as events are accepted
    receiver.py        check every signature and body, log every id
    http1.py           HTTP/1.1 over epoll for both; shared_counter.py: a number in shared memory
    certificates.py    the certificates of the receiver
    profiled_node.py   ``serve`` with a sampling profiler
    reference.py       the same requests without packhook: baseline.py (HTTP client) and wrk
    process_meter.py   CPU and memory of processes over time; machine.py: what they ran on
    accounting.py      compare what was accepted with what was received
    results.py         the results as values
    report.py          print and write the results; charts.py: draw them as SVG
"""
