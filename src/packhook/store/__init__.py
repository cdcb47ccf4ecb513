"""Store everything in one database: the only package that accesses one. ``base.py`` has the promises.

::

    base.py        every question, with its promise        dispatcher.py  the scheduler, as the store sees it
    sqlite/        postgres/                               the same file names, where both have the thing
    fan_out.py     leasing.py  filters.py  pagination.py   what both dialects share
    rows.py        values to rows and back, by name        statements.py  the SQL in queries/DIALECT/NAME.sql
    migrations/    migrate.py  schema/ (generated)         encryption/    secrets, on their way in and out
"""
