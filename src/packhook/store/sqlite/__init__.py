"""The embedded store: one SQLite file, one process.

::

    store.py      the Store's methods, each one line: which work, read or written
    writer.py     group commit: what waits together shares one transaction
    reader.py     reads in threads of their own, beside the writer
    connection.py the file, its lock, its schema
    tenants.py  webhooks.py  publish.py  claim.py  record.py  history.py  sweep.py     the work, as plain functions
"""
