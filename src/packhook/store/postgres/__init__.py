"""Store in one PostgreSQL, for any number of equal nodes.

::

    store.py          the Store's methods, each one line: which work, read or written
    session.py        the connections of an open store: two pools, a writer, a listener
    writer.py         transactions, of several statements or of one; group_commit.py: the writes that wait share one
    connection.py     the pools, their settings and time limits, what errors mean; url.py reads the database URL
    schema.py         migrations, by one node at a time
    liveness.py       which nodes are alive: what a dead node had leased is released within seconds
    notifications.py  hints between nodes: something is due, a webhook changed, events were published in SQL
    publish.py        what a batch of publishes writes; subscribers.py who gets it, idempotency.py what came before
    outbox.py         the fan-out of what packhook.publish() stored
    organizations.py  api_keys.py  instance.py  webhooks.py  claim.py  record.py  history.py  retention.py  audit.py
                      the work, as plain functions that get the connection; queries.py how they query

How a claim can read lanes alone and miss nothing, without waiting: the transaction that makes a delivery claimable
also inserts a row into ``lane_wakeups``. A claim first merges the wake-ups it can see into ``lanes``, then
reads the due lanes, then sets when they are due next. A delivery that it could not see was committed later, so its
wake-up was not merged before the read and is still there; or another claim merged it since, and had to wait for the row
of the lane.
"""
