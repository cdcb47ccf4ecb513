"""Run hostile addresses and receivers against this very build; each row has what was expected and what happened.

::

    command.py     the two commands, and their exit code
    rows.py        a row, its verdict, and the table
    spellings.py   the hosts: hostile spellings and good ones, and both ends of every denied network
    egress.py      the rows of `egress`: each host as a literal, as an answer of a look-up, changed between two
    sockets.py     those of them that need a socket: what the guard lets through, and what a kept connection does
    proxied.py     the same through the operator's proxy: the addresses it receives, and no other connection
    namespace.py   a process whose only network is loopback, so that a defect reaches no other host
    hostile.py     the receivers, each with the outcome that it must come to
    receivers.py   the rows of `receivers`: deadline, memory, outcome, and the request after it
"""
