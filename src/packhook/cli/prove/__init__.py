"""The proof that nothing is lost: publish, kill, restart, and count every id.

::

    command.py    the command, and its exit code
    house.py      the nodes, restarted when they die
    node.py       a node that can be told to kill itself at a named step of an event's way
    database.py   the database: a file, a PostgreSQL of our own, or one that was named
    faults.py     what is done to them, in which order
    publisher.py  publishes with idempotency keys until it is answered 202, whoever is dead
    ledger.py     what was published against what arrived: the verdict
"""
