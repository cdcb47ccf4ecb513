"""Prove that no accepted event is lost: publish, kill, restart, and account for every id.

Run the proof from a checkout: ``make chaos``, or ``PYTHONPATH=tests python -m chaos [OPTIONS]``. The tests here run a
small version of it, and kill and stop single nodes (``orders.py``).

::

    __main__.py       the command and its exit code
    stage.py          nodes, receiver and account of one proof; quiet webhooks, which get one event in their life
    cluster.py        nodes as processes, restarted when they die
    crashing_node.py  a node that kills itself at a named crash point
    mutations.py      faults in a node, made by hand, that the proof must find
    faults.py         the faults, in their order
    publisher.py      publishes with idempotency keys until it gets 202, whichever node is down
    accounting.py     what was published against what arrived: the verdict
"""
