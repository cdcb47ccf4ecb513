"""The store for many nodes: one PostgreSQL, any number of equal nodes.

::

    store.py      the Store's methods, each one line: which work, read or written
    session.py    what there is while it is open: two pools, a writer, a listener
    writer.py     transactions, of several statements or of one; batches.py what waits together (group commit)
    connection.py the pools, what a connection is set to, what its errors mean
    schema.py     the schema, brought up to date by one node at a time
    presence.py   who is there: what a dead node had in hand is free within seconds
    wake.py       hints between nodes: something is due, a webhook was changed
    publish.py    what a batch of publishes writes; wanting.py who wants it, keys.py what came before
    tenants.py  webhooks.py  claim.py  record.py  history.py  sweep.py     the work, as plain functions

How a claim can look at lanes alone and still miss nothing, with nobody waiting for anybody: whoever makes a delivery
claimable says so with a row in ``lane_calls``, in the same transaction. A claim first folds the calls it can see into
``lanes``, then looks, then moves the lanes that it looked through to what it saw. What it could not see was committed
later, so its call was not folded before the look, and is still there; or another claim folded it since, and that one
waited for the row of the lane.
"""
