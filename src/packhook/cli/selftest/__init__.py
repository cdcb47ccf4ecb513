"""The self-test: run the lists of hostile hosts and receivers against this build; print expected and actual results.

::

    command.py     the two commands, and their exit code
    rows.py        a row, its verdict, and the table
    spellings.py   the hosts: hostile spellings, good ones, and both ends of every denied network
    egress.py      the rows of `egress`: each host as a literal, as a DNS answer, and changed between two look-ups
    wire.py        the rows of `egress` that need a socket: the check before each connect, and kept connections
    proxied.py     the same through the operator's proxy: the addresses it receives, and no other connection
    namespace.py   a process whose only network is loopback, so that a defect reaches no other host
    hostile.py     the receivers, each with the outcomes that are expected
    receivers.py   the rows of `receivers`: deadline, memory, outcome, and the request after it
"""
