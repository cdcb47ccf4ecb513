"""Store in one SQLite file, embedded in one process.

::

    store.py       the Store's methods, each one line: which work, read or written
    writer.py      group commit: the writes that wait share one transaction; checkpoints of the log it writes
    reader.py      reads in threads of their own, beside the writer
    connection.py  the file, its lock, its schema
    organizations.py  api_keys.py  instance.py  webhooks.py  publish.py  claim.py  record.py  history.py  retention.py
    audit.py       the work, as plain functions that get the connection; queries.py how they query
"""
