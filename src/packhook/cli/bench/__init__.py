"""The benchmark that anybody can run: what an event costs, beside what its bare sending costs, with nothing lost.

::

    command.py    the command: its options, and what runs on which ground
    parts.py      wrk, floor, load, half, idle, profile, in one run
    grow.py       or the same load beside more webhooks, backlog, history
    plan.py       what is to be measured
    measure.py    one scenario, from an empty database to its figures
    stage.py      the nodes, the sink and the publishers, each a process of its own
    database.py   a fresh database for each scenario; which processes are PostgreSQL's
    fill.py       work that was there before, straight into the tables (sql/)
    publish.py    publishers: open-loop at a rate, or as fast as is accepted
    sink.py       the receiver: checks every signature and body, notes every id
    wire.py       HTTP/1.1 for both, on epoll; counter.py, a number they share
    authority.py  certificates for --tls
    node.py       for the profile: `serve` with a sampler that says where its CPU goes
    bare.py       the same bodies without packhook: floor.py by libcurl, and wrk
    meter.py      CPU and memory of each process over time; machine.py, what they ran on
    ledger.py     what was promised beside what arrived
    figures.py    what came out of it, as values
    report.py     the same as tables and JSON; picture.py as SVG
"""
