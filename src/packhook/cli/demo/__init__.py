"""The demo: the real service, a real receiver, believable orders; every delivery verified and shown.

::

    command.py  the command, and what is told at the end
    stage.py    the service as a process of its own, the organization, the webhooks
    orders.py   orders and their lives
    inbox.py    the receiver: three endpoints, one of which fails at first
    ledger.py   what was published against what arrived: the verdict
    show.py     the live table
"""
