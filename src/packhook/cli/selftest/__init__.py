"""Run hostile addresses and receivers against this very build; each row has what was expected and what happened.

::

    command.py     the two commands, and their exit code
    rows.py        a row, its verdict, and the table
    spellings.py   the hosts: hostile spellings and good ones, and both ends of every denied network
    egress.py      the rows of `egress`: each host as a literal, as an answer of a look-up, changed between two
    sockets.py     those of them that need a socket: what the guard lets through, and what a kept connection does
    proxied.py     the same with the operator's proxy between: what it is told, and that nothing else is connected to
    namespace.py   a process that has no network but loopback, so that a wrong guard reaches nobody
    hostile.py     the receivers, each with the outcome that it must come to
    receivers.py   the rows of `receivers`: deadline, memory, outcome, and the request after it
"""
