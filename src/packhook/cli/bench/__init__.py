"""The benchmark that anybody can run: what an event costs, beside what its bare sending costs, with nothing lost.

::

    command.py   the command: floor, load, idle, in one run
    plan.py      what is to be measured
    stage.py     the node, the sink and the publishers, each a process of its own
    node.py      the node, as `serve` runs it, and a sampler that says where its CPU goes
    publish.py   publishers: raw HTTP, open-loop at a rate or as fast as is accepted
    sink.py      the receiver: checks every signature, notes every id
    floor.py     the same bodies signed and posted by the bare sending library: nothing stored, nothing recorded
    meter.py     CPU and memory of each process over time
    measure.py   one scenario, from an empty database to its figures
    figures.py   what came out of it, as values
    report.py    the same as tables, JSON and a picture
"""
