"""The demo: the real service, a real receiver, realistic orders. Every delivery is verified and shown.

::

    command.py   the command, and the summary at the end
    service.py   the service as a process of its own, with an organization and webhooks
    orders.py    orders and their life cycles
    receiver.py  three endpoints, one of which fails at first
    ledger.py    published events against received ones: nothing missing, every signature valid
    show.py      the live table
"""
