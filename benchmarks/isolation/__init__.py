"""Measure what one organization's work costs another: the attacks of docs/benchmarks/isolation.md, one after another.

::

    command.py       the command: for each attack new nodes; alone, beside the attack, under the attack
    neighbour.py     the organization that is measured: one small publish after another, at a fixed rate
    attacks.py       what the attacking organization does, in a process of its own
    client.py        an HTTP/1.1 client that costs little
    watched_node.py  ``serve`` with a watch of its event loop
"""
